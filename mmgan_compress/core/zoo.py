"""The students that come with the package."""

from pathlib import Path

# links in the source tree, files in a wheel; mim looks here too
STUDENTS = Path(__file__).resolve().parents[1] / '.mim' / 'models'


def shipped_students() -> dict[str, Path]:
    """Return the files of the shipped students by their names."""
    return {path.parent.name: path for path in sorted(STUDENTS.glob('*/student.pth'))}


def find_student(name: str | Path) -> str | Path:
    """Return the path of a student, or of an exported model.

    Args:
        name (str | Path): A path, or the name of a student that comes with the
            package, such as ``'flat2emoji'``. What exists under that name in the
            current folder goes first.
    """
    return name if Path(name).exists() else shipped_students().get(str(name), name)
