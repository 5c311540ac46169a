r"""Put students into one table, scored on the test split of a recipe.

mmgan-compress report configs/omgd_cyclegan.py before=a/student.pth \
    after=b/student.pth --out report

Writes report.md and report.json. Costs are compared with the first one's.
"""

import argparse

from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    add = parser.add_argument
    add('config', help='recipe whose test split and metrics are used')
    add('students', nargs='+', metavar='NAME=FILE', help='student files by the names of their rows')
    options.add(parser, 'out', 'demo', 'data-root', 'import', 'overwrite')


def run(args: argparse.Namespace):
    """Score, write and print."""
    from ..engine.evaluate import report_students

    with options.stdout_for_result():
        result = report_students(
            args.students, args.config, args.out, args.demo, args.data_root, args.overwrite
        )
    result.print()
