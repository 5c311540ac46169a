"""Cut teachers and discriminators out of a checkpoint, for a new run.

python tools/save_teachers.py work_dirs/RUN/iter_N.pth teachers.pth
The file goes into a recipe as `model.distiller.teacher_checkpoints`.
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmgan_compress.core.commands import one_line_errors  # noqa: E402


@one_line_errors()
def main():
    """Write the distiller's part of a checkpoint as one small file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint')
    parser.add_argument('out')
    parser.add_argument('--half', action='store_true',
                        help='half precision: half the size')
    parser.add_argument('--only', nargs='+', default=['teacher', 'discrim'],
                        help='prefixes inside the distiller to keep')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace a file that is there')
    args = parser.parse_args()
    # Imported late: -h and a wrong command line answer at once.
    from mmgan_compress.core.files import refuse_taken, write_tensors
    from mmgan_compress.core.tensor_files import load_tensors
    refuse_taken([args.out], [args.checkpoint], args.overwrite)
    try:
        state = load_tensors(args.checkpoint)['state_dict']
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{args.checkpoint} is no checkpoint of a run, or '
                         'only a part of one: expected iter_N.pth') from error
    inside = {k.removeprefix('distiller.'): v for k, v in state.items()
              if k.startswith('distiller.')}
    kept = {k: v.half() if args.half and v.is_floating_point() else v.clone()
            for k, v in inside.items() if k.startswith(tuple(args.only))}
    if not kept:
        raise ValueError(
            f'{args.checkpoint} has nothing of {" or ".join(args.only)} in '
            f'its distiller, which has '
            f'{sorted({k.partition(".")[0] for k in inside}) or "no weights"}'
            ': name another checkpoint, or other --only')
    write_tensors(args.out, dict(state_dict=kept))
    print(f'{args.out}: {len(kept)} tensors, '
          f'{sum(v.numel() for v in kept.values()):,} numbers')


if __name__ == '__main__':
    main()
