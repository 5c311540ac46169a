"""Show a student beside its teacher on a page in the browser.

mmgan-compress page --student student.pth --teacher teacher.pth

Models are whatever mmgan-compress translate takes. The page is for this
machine alone unless --host says otherwise; it has no password.
"""

import argparse

from . import options
from .translate import add_trust


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    parser.add_argument(
        '--student', required=True, metavar='FILE', help='student file or exported model'
    )
    parser.add_argument('--teacher', metavar='FILE', help='the same, of a teacher')
    options.add_domain(parser)
    options.add_threads(parser)
    add_trust(parser)
    parser.add_argument(
        '--examples',
        metavar='FOLDER',
        help="pictures to choose from, at most 8 (default: the demo's)",
    )
    parser.add_argument(
        '--host', default='127.0.0.1', help='address to listen on (default: %(default)s)'
    )
    parser.add_argument(
        '--port', type=options.port, default=7860, help='port to listen on (default: %(default)s)'
    )
    options.add_import(parser)


def run(args: argparse.Namespace):
    """Open the models and serve the page."""
    from ..inference.page import show_models

    show_models(
        dict(teacher=args.teacher, student=args.student),
        args.examples,
        args.host,
        args.port,
        domain=args.domain,
        threads=args.threads,
        trust=args.trust,
    )
