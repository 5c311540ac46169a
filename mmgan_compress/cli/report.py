"""Put students into one table, scored on the test split of a recipe.

mmgan-compress report configs/omgd_cyclegan.py before=a/student.pth \\
    after=b/student.pth --out report

Writes report.md and report.json. Costs are compared with the first one's.
"""
import argparse
import contextlib
import sys
from pathlib import Path

from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    parser.add_argument('config', help='recipe whose test split and metrics '
                        'are used')
    parser.add_argument('students', nargs='+', metavar='NAME=FILE',
                        help='student files by the name of their row')
    parser.add_argument('--out', required=True, help='folder to write into')
    options.add_data(parser)
    options.add_import(parser)
    options.add_overwrite(parser)


def report(args: argparse.Namespace):
    """Score all students; return the report."""
    from ..core.files import refuse_taken
    from ..engine.evaluate import read_recipe, score_networks
    from ..evaluation.report import FILES, STUDENT, build_report
    from ..models.student import load_student
    out, networks = Path(args.out), {}
    refuse_taken([out / name for name in FILES], overwrite=args.overwrite)
    for text in args.students:
        name, mark, file = text.partition('=')
        if not mark or name in networks:
            raise ValueError(f'cannot read {text!r}: expected NAME=FILE, each '
                             'name once')
        networks[name] = load_student(file)
    infos = [network.meta for network in networks.values()]
    domain, domains = infos[0]['domain'], infos[0]['domains']
    other = next((i for i in infos if i['domain'] != domain), None)
    if other is not None:
        raise ValueError(f'the students generate {domain!r} and '
                         f'{other["domain"]!r}: expected one domain')
    cfg = read_recipe(args.config, 'test_dataloader', infos[0], args.demo,
                      args.data_root)
    figures, protocols = score_networks(cfg, networks, domains, domain)
    *before, last = networks
    rows = {name if name in before else f'{STUDENT}, {name}': own
            for name, own in figures.items()}
    result = build_report({name: networks[name] for name in before},
                          networks[last], rows, protocols,
                          cfg.test_dataloader.dataset.size)
    result.save(out)
    return result


def run(args: argparse.Namespace):
    """Score, write and print."""
    # libraries log to standard output; only the result may stand there
    with contextlib.redirect_stdout(sys.stderr):
        result = report(args)
    result.print()
