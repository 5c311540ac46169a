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
    args = parser.parse_args()
    import torch
    state = torch.load(args.checkpoint, map_location='cpu',
                       weights_only=True)['state_dict']
    inside = {k.removeprefix('distiller.'): v for k, v in state.items()
              if k.startswith('distiller.')}
    kept = {k: v.half() if args.half and v.is_floating_point() else v.clone()
            for k, v in inside.items() if k.startswith(tuple(args.only))}
    torch.save(dict(state_dict=kept), args.out)
    print(f'{args.out}: {len(kept)} tensors, '
          f'{sum(v.numel() for v in kept.values()):,} numbers')


if __name__ == '__main__':
    main()
