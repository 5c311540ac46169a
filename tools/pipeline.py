"""Run the stages of a pipeline in order; the same command continues it.

python tools/pipeline.py configs/gcc/gcc_pix2pix-pipeline.py [--demo]
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config with stages = [...]')
    parser.add_argument(
        '--demo', action='store_true',
        help='every stage in demo size, on data shipped with the package')
    parser.add_argument('--data-root', help='your own images')
    parser.add_argument('--work-dir',
                        help='default: work_dirs/<config>[-demo]')
    parser.add_argument(
        '--from', dest='from_stage', metavar='STAGE',
        help='leave out the stages before this one; their results are used')
    parser.add_argument('--skip', nargs='+', metavar='STAGE',
                        help='leave out these stages; later ones use their '
                        'results, or what they would have started from')
    parser.add_argument('--status', action='store_true',
                        help='show what is done, and run nothing')
    return parser.parse_args()


def main():
    """Hand over to the pipeline, with the folder of the commands."""
    args = parse_args()
    from mmgan_compress.engine.pipeline import run_pipeline
    args.tools = Path(__file__).parent
    run_pipeline(args)


if __name__ == '__main__':
    main()
