"""Show a student beside its teacher on a page in the browser.

python tools/demo_page.py --student student.pth --teacher teacher.pth

Models are whatever tools/translate.py takes. The page is for this machine
alone unless --host says otherwise; it has no password.
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmgan_compress.core.commands import one_line_errors  # noqa: E402

LOCAL = ('127.0.0.1', 'localhost')


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    from mmgan_compress.core.extensions import add_import
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--student', required=True,
                        help='student file or exported model')
    parser.add_argument('--teacher', help='the same, of a teacher')
    parser.add_argument('--domain', help='domain to generate, of student '
                        'files that have two')
    parser.add_argument('--threads', type=int, help='CPU threads of a model '
                        '(default: all cores)')
    parser.add_argument(
        '--trust', action='store_true',
        help='open .pt2, .aoti.pt2 and .pt, which are programs: whoever made '
        'one can run anything here')
    parser.add_argument('--examples', metavar='FOLDER', help='pictures to '
                        "choose from, at most 8 (default: the demo's)")
    parser.add_argument('--host', default=LOCAL[0],
                        help='address to listen on (default: %(default)s)')
    parser.add_argument('--port', type=int, default=7860,
                        help='port to listen on (default: %(default)s)')
    add_import(parser)
    return parser.parse_args()


@one_line_errors()
def main() -> None:
    """Open the models and serve the page."""
    args = parse_args()
    # Imported late: -h and a wrong command line answer at once.
    from mmgan_compress import Translator
    from mmgan_compress.datasets import pictures
    from mmgan_compress.demo import DATA
    from mmgan_compress.inference.page import TryPage, serve
    files = dict(teacher=args.teacher, student=args.student)
    models = {title: Translator(file, args.domain, threads=args.threads,
                                trust=args.trust)
              for title, file in files.items() if file}
    jobs = pictures.collect(args.examples or DATA / 'flat2emoji/testA')
    page = TryPage(models, [job.image for job in jobs[:8]],
                   LOCAL if args.host in LOCAL else None)
    serve(page, args.host, args.port)


if __name__ == '__main__':
    main()
