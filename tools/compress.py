"""Make the generators of a student smaller, to a budget.

python tools/compress.py student.pth --pruner NormWidths --budget macs=0.25

Writes student.pth, compress.md (a table of the layers), compress.json (how
the result was found) and finetune.py, a recipe for tools/train.py in which
the network that was pruned teaches what is left of it.

A budget is KIND=NUMBER or DOMAIN.KIND=NUMBER: macs (the true count),
macs_paper (the papers' count) or params; up to 1 it is a share of the
network's own. latency@onnxruntime=0.5 is half of the time that the network
takes here, latency@openvino=8ms a time.
"""
import argparse
import contextlib
import copy
import sys
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmgan_compress.core.commands import one_line_errors  # noqa: E402

DENSE = 'dense.pth'


def parse_args(argv: Optional[list[str]] = None) -> argparse.Namespace:
    """Parse the command line; imports nothing heavy, so -h is quick."""
    from mmgan_compress.core.extensions import add_import
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('source', help='student.pth, or a config (.py) whose '
                        'generators name their weights in init_cfg')
    parser.add_argument('--pruner', required=True,
                        help='name in the registry PRUNERS, e.g. GCCWidths')
    parser.add_argument('--budget', nargs='+', default=[], metavar='BUDGET',
                        help='what a generator may cost (a pruner that the '
                        'network\nitself tells what goes takes none)')
    parser.add_argument('--size', type=positive, help='side of the image '
                        'that MACs are counted at\n(default: that of the '
                        'training images)')
    parser.add_argument('--threads', type=positive, help='of the processor, '
                        "where time is measured\n(default: the runtime's "
                        'choice)')
    parser.add_argument('--domain', help='make only the generator of this '
                        'domain smaller;\nthe others stay')
    parser.add_argument('--tolerance', type=share, default=0.02,
                        help='how far from the budget the result may be, '
                        'relative\n(default: %(default)s)')
    parser.add_argument('--options', nargs='+', default=[],
                        metavar='KEY=VALUE', help="the pruner's settings")
    parser.add_argument('--training', metavar='RECIPE', help='for pruners '
                        'that train or ask for gradients:\nthe losses and '
                        'images that they use')
    parser.add_argument('--finetune', metavar='RECIPE', help='whose data, '
                        'losses and schedule finetune.py has\n(default: '
                        "OMGD's, for paired or unpaired images)")
    parser.add_argument('--demo', action='store_true', help='both recipes '
                        'with the data and schedule of their demo')
    parser.add_argument('--data-root', help='both with your own images')
    parser.add_argument('--seed', type=int, default=0,
                        help='of new weights (default: %(default)s)')
    parser.add_argument('--out', help='folder to write into (default: '
                        'work_dirs/<source>-<pruner>)')
    add_import(parser)
    parser.add_argument('--overwrite', action='store_true',
                        help='replace results that are there')
    return parser.parse_args(argv)


def positive(text: str) -> int:
    """Read a whole number above 0."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f'{text!r} is no whole number above '
                                         '0')
    return int(text)


def share(text: str) -> float:
    """Read a number of at least 0 and below 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no number from 0 to '
                                         'below 1')
    return value


def compress(args: argparse.Namespace) -> str:
    """Read, compress, write; return the table."""
    import torch

    from mmgan_compress.pruning import (student_io as sources,
                                        workflow as students)
    from mmgan_compress.core.files import refuse_taken
    from mmgan_compress.engine import finetune
    from mmgan_compress.engine.runner_builder import load_config
    refuse_taken(
        [Path(args.out, name) for name in (
            *students.FILES, finetune.NAME,
            *([DENSE] if is_config(args.source) else []))],
        [args.source], args.overwrite)
    options = students.read_options(args.options)
    if 'budget' in options:
        raise ValueError('a budget is no option: give it by --budget')
    if args.training:
        options['training'] = load_config(argparse.Namespace(
            config=args.training, demo=args.demo, data_root=args.data_root,
            cfg_options=None))
    source = sources.read_source(args.source)
    size = args.size or source.image_size
    budgets = students.choose_domains(source, args.budget, args.domain,
                                      size=size, tolerance=args.tolerance,
                                      threads=args.threads)
    teachers = {domain: (source.networks[domain], source.configs[domain])
                for domain in budgets}
    recipe = choose_recipe(args, source, teachers)
    torch.manual_seed(args.seed)
    results = students.compress_source(source, args.pruner, budgets, options)
    table = students.write_results(Path(args.out), source, results,
                                   args.pruner, size, args.threads,
                                   args.overwrite)
    if is_config(args.source):  # its weights as a file, for the teacher
        students.save_dense(Path(args.out, DENSE), source)
    if recipe is not None:
        notes = fit(recipe, args, {
            domain: (result.network, result.config)
            for domain, result in results.items()}, teachers)
        for note in notes:
            print(f'finetune.py: {note}')
        finetune.write_finetune(
            Path(args.out), recipe, 'Made by tools/compress.py: '
            f'{args.source}, {args.pruner} {" ".join(args.budget)}', notes)
    return table


def choose_recipe(args: argparse.Namespace, source, teachers: dict):
    """Read the recipe for finetune.py; what does not fit shows before the
    work. Without a recipe that was asked for, there need not be one."""
    from mmgan_compress.engine import finetune
    recipe = finetune.read_recipe(
        args.finetune or finetune.default_recipe(
            source.made_by, source.networks[source.default_domain]),
        source.domains, list(teachers), source.image_size, args.demo,
        args.data_root)
    finetune.add_imports(recipe, [*source.imports, *args.imports])
    try:
        fit(copy.deepcopy(recipe), args, teachers, teachers)
    except ValueError as error:
        if args.finetune:
            raise
        print(f'there will be no finetune.py: {error}')
        return None
    return recipe


def is_config(source: str) -> bool:
    """Tell whether the networks come from a config."""
    return Path(source).suffix == '.py'


def fit(recipe, args: argparse.Namespace, students: dict,
        teachers: dict) -> list[str]:
    """Put networks, by domain with their configs, into a recipe.

    Returns:
        list[str]: What of the recipe is left out.
    """
    from mmgan_compress.engine import finetune, finetune_losses
    out = Path(args.out)
    if not args.finetune and None in (
            finetune_losses.feature_taps(net) for net, _ in teachers.values()):
        finetune_losses.leave_out_taps(recipe)
    dense = str(out / DENSE) if is_config(args.source) else args.source
    return finetune.fit_networks(
        recipe, students, teachers,
        finetune.beside(out, str(out / 'student.pth')),
        finetune.beside(out, dense))


@one_line_errors()
def main() -> None:
    """Compress and say where the result is."""
    args = parse_args()
    if args.out is None:
        args.out = f'work_dirs/{Path(args.source).stem}-{args.pruner}'
    # libraries log to standard output; only the result may stand there
    with contextlib.redirect_stdout(sys.stderr):
        text = compress(args)
    print(text)
    print(f'{args.out}/student.pth')


if __name__ == '__main__':
    main()
