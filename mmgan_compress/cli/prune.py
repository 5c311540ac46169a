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
import copy
from pathlib import Path

from . import options

DENSE = 'dense.pth'


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    add = parser.add_argument
    add('source', help='student.pth, or a config (.py) whose generators name '
        'their weights in init_cfg')
    add('--pruner', metavar='NAME', required=True,
        help='name in the registry PRUNERS, e.g. GCCWidths')
    add('--budget', nargs='+', default=[], metavar='BUDGET', help='what a '
        'generator may cost (a pruner that the network itself tells what '
        'goes takes none)')
    add('--tolerance', type=options.share, metavar='SHARE', default=0.02,
        help='how far from the budget the result may be (default: '
        '%(default)s)')
    add('--options', nargs='+', default=[], metavar='KEY=VALUE',
        help="the pruner's settings")
    add('--training', metavar='RECIPE', help='for pruners that train or use '
        'gradients: the losses and images that they use')
    add('--finetune', metavar='RECIPE', help='whose data, losses and '
        "schedule finetune.py has (default: OMGD's, for paired or unpaired "
        'images)')
    add('--domain', help='prune only the generator of this domain (default: '
        'all)')
    add('--out', metavar='FOLDER', help='folder to write into (default: '
        'work_dirs/<source>-<pruner>)')
    options.add_size(parser)
    options.add_threads(parser)
    options.add_seed(parser)
    options.add_data(parser)
    options.add_import(parser)
    options.add_overwrite(parser)


def compress(args: argparse.Namespace) -> str:
    """Read, compress, write; return the table."""
    import torch

    from ..core.files import refuse_taken
    from ..engine import finetune
    from ..engine.runner_builder import load_config
    from ..models.student import read_student
    from ..pruning import workflow as students
    refuse_taken(
        [Path(args.out, name) for name in (
            *students.FILES, finetune.NAME,
            *([DENSE] if is_config(args.source) else []))],
        [args.source], args.overwrite)
    settings = students.read_options(args.options)
    if 'budget' in settings:
        raise ValueError('a budget is no option: give it by --budget')
    if args.training:
        settings['training'] = load_config(argparse.Namespace(
            config=args.training, demo=args.demo, data_root=args.data_root,
            cfg_options=None))
    source = read_student(args.source)
    size = args.size or source.image_size
    budgets = students.choose_domains(source, args.budget, args.domain,
                                      size=size, tolerance=args.tolerance,
                                      threads=args.threads)
    teachers = {domain: (source.generators[domain], source.configs[domain])
                for domain in budgets}
    recipe = choose_recipe(args, source, teachers)
    torch.manual_seed(args.seed or 0)
    results = students.compress_source(source, args.pruner, budgets, settings)
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
            Path(args.out), recipe, 'Made by mmgan-compress prune: '
            f'{args.source}, {args.pruner} {" ".join(args.budget)}', notes)
    return table


def choose_recipe(args: argparse.Namespace, source, teachers: dict):
    """Read the recipe for finetune.py; what does not fit shows before the
    work. Without a recipe that was asked for, there need not be one."""
    from ..engine import finetune
    recipe = finetune.read_recipe(
        args.finetune or finetune.default_recipe(
            [source.source], source.generators[source.default_domain]),
        source.domains, list(teachers), args.size or source.image_size,
        args.demo, args.data_root)
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
    from ..engine import finetune, finetune_losses
    out = Path(args.out)
    if not args.finetune and None in (
            finetune_losses.feature_taps(net) for net, _ in teachers.values()):
        finetune_losses.leave_out_taps(recipe)
    dense = str(out / DENSE) if is_config(args.source) else args.source
    return finetune.fit_networks(
        recipe, students, teachers,
        finetune.beside(out, str(out / 'student.pth')),
        finetune.beside(out, dense))


def run(args: argparse.Namespace):
    """Prune and say where the result is."""
    if args.out is None:
        args.out = f'work_dirs/{Path(args.source).stem}-{args.pruner}'
    with options.stdout_for_result():
        table = compress(args)
    print(table)
    recipe = Path(args.out, 'finetune.py')
    if recipe.exists():
        print('Fine-tune it before you use it: mmgan-compress train '
              f'{recipe}')
    print(f'{args.out}/student.pth')
