"""Show a student beside its teacher on a page in the browser.

mmgan-compress page --student student.pth --teacher teacher.pth
mmgan-compress page --web FOLDER

Models are whatever mmgan-compress translate takes; they run on this machine.
--web serves an export for the browser (image-translation_web_*.py), which
runs there. The page is for this machine alone unless --host says otherwise;
it has no password.
"""

import argparse

from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    add = parser.add_argument
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument('--student', metavar='FILE', help='student file or exported model')
    model.add_argument('--web', metavar='FOLDER', help='export for the browser, to serve as it is')
    add('--teacher', metavar='FILE', help='the same, of a teacher')
    add('--examples', help="folder of pictures to choose from, at most 8 (default: the demo's)")
    add('--host', default='127.0.0.1', help='address to listen on (default: %(default)s)')
    add('--port', type=options.positive, default=7860, help='port (default: %(default)s)')
    options.add(parser, 'domain', 'threads', 'trust', 'import')


def run(args: argparse.Namespace):
    """Open the models and serve the page."""
    from ..inference.page import WebFolder, serve, show_models

    if args.web:
        serve(WebFolder(args.web), args.host, args.port)
        return
    show_models(
        dict(teacher=args.teacher, student=args.student),
        args.examples,
        args.host,
        args.port,
        domain=args.domain,
        threads=args.threads,
        trust=args.trust,
    )
