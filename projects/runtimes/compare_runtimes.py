r"""Is it the same model everywhere? Students in every runtime, in one table.

python projects/runtimes/compare_runtimes.py NAME=student.pth ... \
    --recipe RECIPE --out DIR

Exports each student by each deploy config and compares it with torch on real
images. Models of 8 bits are calibrated on the recipe's training images and
scored on its test split, beside single precision. Writes runtimes.md and
runtimes.json; the models are in DIR/NAME/CONFIG.
"""

import argparse
import contextlib
import json
import sys
from itertools import product
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from mmgan_compress.cli.errors import guard  # noqa: E402
from mmgan_compress.cli.options import add  # noqa: E402
from mmgan_compress.core.extensions import import_modules  # noqa: E402
from mmgan_compress.core.files import refuse_taken, write_text  # noqa: E402
from mmgan_compress.core.tables import markdown  # noqa: E402

PREFIX = 'image-translation_'
FILES = ('runtimes.json', 'runtimes.md')


def parse_args() -> argparse.Namespace:
    """Parse the command line; imports nothing heavy, so -h is quick."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('students', nargs='+', metavar='NAME=FILE')
    parser.add_argument('--recipe', required=True, help='whose images are for calibration and test')
    parser.add_argument('--demo', action='store_true', help='the recipe with the data of its demo')
    parser.add_argument('--data-root', help='the recipe with your own images')
    parser.add_argument(
        '--configs', nargs='+', metavar='FILE', help='deploy configs (default: all)'
    )
    parser.add_argument(
        '--size', type=int, help='side of the images (default: that of the training images)'
    )
    parser.add_argument('--out', default='work_dirs/compare_runtimes')
    add(parser, 'import')
    parser.add_argument('--overwrite', action='store_true', help='replace results that are there')
    return parser.parse_args()


def main():
    """Export, compare, score, and write the tables."""
    args = parse_args()
    # Imported late: -h and a wrong command line answer at once.
    from mmgan_compress.deploy.targets import read_target

    import_modules(args.imports)
    out = Path(args.out)
    with contextlib.redirect_stdout(sys.stderr):
        students = read_students(args.students)
        refuse_taken([out / name for name in FILES], overwrite=args.overwrite)
        configs = {
            Path(name).stem.removeprefix(PREFIX): name for name in find_configs(args.configs)
        }
        rows = {config: {} for config in configs}
        for config, name in progress(configs, students):
            rows[config][name] = compare(
                students[name], read_target(configs[config]), out / name / config, args
            )
        add_scores(rows, students, args)
    text = tables(rows, list(students), args)
    write_text(out / FILES[0], json.dumps(rows, indent=2) + '\n')
    write_text(out / FILES[1], text)
    print(text)
    if wrong := [
        f'{name} by {config}'
        for config, row in rows.items()
        for name, cell in row.items()
        if 'differs' in cell
    ]:
        raise ValueError(f'{", ".join(wrong)} is not the same model')


def read_students(words: list[str]) -> dict[str, Path]:
    """Return student files by name; refuse what is not there."""
    students = {}
    for word in words:
        name, _, path = word.partition('=')
        if not Path(path).is_file():
            raise FileNotFoundError(f'{word!r}: expected NAME=FILE, and the file of a student')
        students[name] = Path(path)
    return students


def find_configs(names) -> list[str]:
    """Return the paths of deploy configs, of all if none is named."""
    from mmgan_compress.core.configs import CONFIGS, find_config

    if names:
        return [find_config(name) for name in names]
    return sorted(map(str, (CONFIGS / 'deploy').glob(f'{PREFIX}*.py')))


def progress(configs: dict, students: dict):
    """Return all pairs behind a progress bar."""
    from tqdm import tqdm

    return tqdm(list(product(configs, students)), unit=' exports')


def compare(student: Path, target, folder: Path, args: argparse.Namespace) -> dict:
    """Export to a target; return what was measured, or why it was not."""
    from mmgan_compress.deploy.export import CALIBRATION_IMAGES, export_student
    from mmgan_compress.deploy.verify import MAX_IMAGES, ParityError

    try:
        report = export_student(
            student,
            folder,
            target,
            args.size,
            images=images_of(student, 'test_dataloader', MAX_IMAGES, args),
            calibration=images_of(student, 'train_dataloader', CALIBRATION_IMAGES, args)
            if target.precision == 'int8'
            else None,
        )
    except ParityError as error:
        return dict(differs=str(error))
    except (ValueError, ImportError) as error:
        return dict(refused=str(error))
    cell = {
        key: report[key] for key in ('runtime', 'size', 'max_abs', 'psnr', 'ssim', 'instance_norm')
    }
    if target.precision == 'int8':
        cell['model'] = str(folder / next(iter(report['files'])))
    return cell


def add_scores(rows: dict, students: dict[str, Path], args: argparse.Namespace):
    """Score models of 8 bits, and single precision beside them."""
    for name, path in students.items():
        lowered = {
            config: row[name]['model'] for config, row in rows.items() if 'model' in row[name]
        }
        figures = score(path, lowered, args) if lowered else {}
        for config in lowered:
            rows[config][name]['test'] = dict(fp32=figures['fp32'], int8=figures[config])


def recipe_of(student: Path, loader: str, args: argparse.Namespace):
    """Return the recipe, source and target domain of a student."""
    from mmgan_compress.engine.evaluate import read_recipe, source_of
    from mmgan_compress.models.student import student_info

    info = student_info(student)
    domain = info['default_domain']
    cfg = read_recipe(args.recipe, loader, info, args.demo, args.data_root)
    return cfg, source_of(info, domain), domain


def images_of(student: Path, loader: str, most: int, args: argparse.Namespace) -> list:
    """Return images of the recipe, to calibrate or to compare on."""
    from mmgan_compress.engine.evaluate import named_images
    from mmgan_compress.models.student import student_info

    info = student_info(student)
    return named_images(
        args.recipe,
        loader,
        info,
        info['default_domain'],
        most,
        demo=args.demo,
        data_root=args.data_root,
    )


def score(student: Path, models: dict[str, str], args: argparse.Namespace) -> dict:
    """Return the figures of a student and its models on the test split."""
    from mmgan_compress.engine.evaluate import score_networks
    from mmgan_compress.models.student import load_student
    from mmgan_compress.quantization.workflow import RuntimeNetwork

    cfg, source, domain = recipe_of(student, 'test_dataloader', args)
    networks = {key: RuntimeNetwork(path) for key, path in models.items()}
    figures, _ = score_networks(
        cfg, dict(fp32=load_student(student), **networks), [source, domain], domain
    )
    return figures


def tables(rows: dict, students: list[str], args: argparse.Namespace) -> str:
    """Return the tables as Markdown."""
    notes: dict[str, str] = {}
    compared, scored = [], []
    for config, row in rows.items():
        sides = {str(row[name]['size']) for name in students if 'size' in row[name]}
        compared.append(
            [config, ', '.join(sorted(sides)), *(shown(row[name], notes) for name in students)]
        )
        for name in students:
            test = row[name].get('test')
            if test:
                scored.append(
                    [
                        config,
                        name,
                        ', '.join(
                            f'{key} {value:.4g} -> {test["int8"][key]:.4g}'
                            for key, value in test['fp32'].items()
                        ),
                    ]
                )
    recipe = f'{Path(args.recipe).name}{" --demo" if args.demo else ""}'
    text = (
        f'Worst of all inputs against torch in float64: max-abs in '
        f'[-1, 1], and PSNR. Random, flat and test images of {recipe}, 8 '
        'bits calibrated on its training images. Of TensorRT it is the '
        'ONNX, in ONNX Runtime.\n\n'
        + markdown(['config', 'side', *students], compared)
        + '\n\n'
        + ''.join(f'[{mark}] {reason}\n' for reason, mark in notes.items())
    )
    if scored:
        text += (
            '\nOn the test split, single precision -> 8 bits:\n\n'
            + markdown(['config', 'student', 'figures'], scored, 3)
            + '\n'
        )
    return text


def shown(cell: dict, notes: dict[str, str]) -> str:
    """Return what stands in a cell; a refusal becomes a note."""
    for key in ('refused', 'differs'):
        if key in cell:
            mark = notes.setdefault(cell[key], str(len(notes) + 1))
            return f'{key} [{mark}]'
    psnr = 'equal' if cell['psnr'] is None else f'{cell["psnr"]:.1f} dB'
    return f'{cell["max_abs"]:.1e}, {psnr}'


if __name__ == '__main__':
    sys.exit(guard(main))
