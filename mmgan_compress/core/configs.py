"""Where the configs of this package are."""
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from mmengine.config import Config, ConfigDict

# links in the source tree, files in a wheel; mim looks here too
CONFIGS = Path(__file__).resolve().parents[1] / '.mim' / 'configs'


def find_config(name: str) -> str:
    """Return the path of a config.

    Args:
        name (str): A path, or the file name of a recipe of this package,
            wherever that is installed: ``'omgd_cyclegan.py'``.

    Raises:
        FileNotFoundError: If it is neither, naming the nearest recipes.
    """
    if Path(name).is_file():
        return name
    recipes = {path.name: path for path in CONFIGS.resolve().rglob('*.py')
               if '_base_' not in path.parts}
    if name in recipes:
        return str(recipes[name])
    near = get_close_matches(Path(name).name, recipes) or sorted(
        path.name for path in CONFIGS.glob('*.py'))
    raise FileNotFoundError(f'no config {name!r}: expected a path or the '
                            'file name of a recipe of this package, such as '
                            + ', '.join(near))


def read_config(path: str) -> Config:
    """Read a config.

    Raises:
        ValueError: If the file is no Python.
    """
    try:
        return Config.fromfile(path)
    except SyntaxError as error:
        raise ValueError(f'{path}, or a base of it, is no Python: '
                         f'{error.msg}: {error.text}') from error


def walk(node) -> Iterator[ConfigDict]:
    """Yield every dict inside a config."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from walk(child)
