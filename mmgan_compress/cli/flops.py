"""Print parameters and MACs of the student and the teachers.

mmgan-compress flops configs/omgd_cyclegan.py
"""

import argparse
import json

from ..core import units
from ..core.tables import plain
from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    parser.add_argument('source', help='config (.py) or student.pth')
    parser.add_argument('--json', action='store_true', help='print JSON in place of the table')
    parser.add_argument('--layers', action='store_true', help='also a row per layer')
    options.add(parser, 'size', 'import')


def table(networks: dict, size: int) -> str:
    """Format the figures for the console."""
    rows = [(f'image {size}x{size}', 'parameters', 'MACs', 'MACs, papers')]
    for name, figures in networks.items():
        for row in [dict(figures, name=name), *figures.get('layers', [])]:
            counts = (units.count(row[key]) for key in ('params', 'macs', 'macs_paper'))
            rows.append((row['name'] or row['type'], *counts))
    return plain(rows)


def run(args: argparse.Namespace):
    """Count and print."""
    from ..core.complexity import style_note
    from ..engine.networks import costs_of, load_networks

    with options.stdout_for_result():
        networks, size = load_networks(args.source)
        size = args.size or size
        costs = {name: costs_of(network, size, args.layers) for name, network in networks.items()}
    if args.json:
        student = costs.pop('student')
        print(json.dumps(dict(student=student, teachers=costs), indent=2))
    else:
        print(table(costs, size))
        for name, network in networks.items():
            params, macs = (costs[name][key] for key in ('params', 'macs'))
            for line in style_note(name, network, params, macs, size):
                print(line)
