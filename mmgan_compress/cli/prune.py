"""Make the generators of a student smaller, to a budget.

mmgan-compress prune student.pth --pruner NormWidths --budget macs=0.25

Writes student.pth, compress.md (a table of the layers), compress.json (how
the result was found) and finetune.py, a recipe for mmgan-compress train. In it
the network before pruning teaches the network after it.

A budget is KIND=NUMBER or DOMAIN.KIND=NUMBER: macs (the true count),
macs_paper (the papers' count) or params; up to 1 it is a share of the
network's own. latency@onnxruntime=0.5 is half of the time that the network
takes here, latency@openvino=8ms a time.
"""

import argparse
from pathlib import Path

from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    add = parser.add_argument
    add('source', help='student.pth, or a config (.py) whose generators name their weights')
    add('--pruner', required=True, help='name in the registry PRUNERS, e.g. GCCWidths')
    add('--budget', nargs='+', default=[], help='what a generator may cost, if the pruner asks')
    add(
        '--tolerance',
        type=options.share,
        default=0.02,
        help='how far from the budget the result may be (default: %(default)s)',
    )
    add('--training', help='recipe with losses and images, for pruners that use gradients')
    add(
        '--finetune',
        metavar='RECIPE',
        help="whose data, losses and schedule finetune.py has (default: OMGD's, for paired or "
        'unpaired images)',
    )
    add('--domain', help='prune only the generator of this domain (default: all)')
    add('--out', help='folder to write into (default: work_dirs/<source>-<pruner>)')
    options.add(parser, 'options', 'size', 'threads', 'seed', 'demo', 'data-root', 'import')
    options.add(parser, 'overwrite')


def run(args: argparse.Namespace):
    """Prune and say where the result is."""
    from ..engine.prune import prune

    if args.out is None:
        args.out = f'work_dirs/{Path(args.source).stem}-{args.pruner}'
    with options.stdout_for_result():
        table = prune(args)
    print(_totals(table))
    print(f'each layer: {args.out}/compress.md')
    recipe = Path(args.out, 'finetune.py')
    if recipe.exists():
        print(
            'Fine-tune it before you use it: mmgan-compress train '
            f'{recipe}' + _missing_images(recipe)
        )
    print(f'{args.out}/student.pth')


def _totals(table: str) -> str:
    """Leave the rows of single layers out of compress.md."""
    kept = ('| layer |', '| --- |', '| total')
    return '\n'.join(
        line
        for line in table.rstrip().splitlines()
        if not line.startswith('|') or line.startswith(kept)
    )


def _missing_images(recipe: Path) -> str:
    """Name the options for one's own images if the recipe's are not here."""
    from ..core.configs import read_config

    root = read_config(str(recipe)).train_dataloader.dataset.get('data_root')
    if not root or Path(root).is_dir():
        return ''
    return (
        f' --data-root FOLDER\n  FOLDER holds your own images; {root} is '
        'not here. --quick shortens a first try'
    )
