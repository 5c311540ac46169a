"""Compare time and memory of CRD's relation losses, naive and ours.

The naive form makes the difference vectors of all pairs, (N, N, D) numbers,
and multiplies them. Forward and backward of one image on the CPU, each in a
process of its own.
"""

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmgan_compress.cli.errors import guard  # noqa: E402

PARTS = ('rows', 'columns', 'patches', 'all')
FORMS = ('naive', 'ours')
PATCH = 32  # CRD's


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--size', type=int, default=256, help='side length of the image')
    parser.add_argument('--threads', type=int, default=2, help='threads of torch')
    parser.add_argument('--repeat', type=int, default=3, help='runs, the fastest counts')
    parser.add_argument('--json', action='store_true', help='JSON on standard output')
    # the process that measures one form
    parser.add_argument('--measure', nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def naive_relations(student, teacher):
    """Return RKD of (N, D) samples by the formula, loss by loss."""
    import torch
    import torch.nn.functional as F

    def distances(samples):
        square = samples.square().sum(1)
        squares = square[:, None] + square - 2 * samples @ samples.T
        off = 1 - torch.eye(len(samples))
        found = squares.clamp(min=1e-12).sqrt() * off
        return found / found[found > 0].mean()

    def cosines(samples):
        units = F.normalize(samples[None] - samples[:, None], dim=2)
        return torch.bmm(units, units.transpose(1, 2))

    with torch.no_grad():
        targets = distances(teacher), cosines(teacher)
    return F.smooth_l1_loss(distances(student), targets[0]) + 2 * F.smooth_l1_loss(
        cosines(student), targets[1]
    )


def naive_losses(student, teacher, parts):
    """Sum the naive loss over parts of (1, 3, H, W) images."""
    from mmgan_compress.losses.relational import cut_patches

    samples = dict(
        rows=lambda image: image[0].transpose(0, 1).flatten(1),
        columns=lambda image: image[0].permute(2, 0, 1).flatten(1),
        patches=lambda image: cut_patches(image, PATCH)[0].flatten(1),
    )
    return sum(naive_relations(samples[part](student), samples[part](teacher)) for part in parts)


def peak_memory() -> float:
    """Return the largest resident size so far, in MB."""
    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def measure(form: str, part: str, args: argparse.Namespace) -> dict:
    """Measure one form in this process."""
    import torch

    from mmgan_compress.losses.base import DistillBatch
    from mmgan_compress.losses.relational import RelationLoss

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    parts = PARTS[:-1] if part == 'all' else (part,)
    coarse = torch.randn(2, 3, args.size // 4, args.size // 4)
    student, teacher = (
        torch.nn.functional.interpolate(coarse, size=args.size, mode='bilinear').tanh().split(1)
    )
    student.requires_grad_()
    loss = RelationLoss(parts=parts, patch_size=PATCH)
    batch = DistillBatch(student, student, {'teacher': teacher})

    def run() -> float:
        student.grad = None
        value = naive_losses(student, teacher, parts) if form == 'naive' else loss(batch, 'teacher')
        value.backward()
        return value.item()

    before, seconds = peak_memory(), []
    for _ in range(args.repeat):
        start = time.perf_counter()
        value = run()
        seconds.append(time.perf_counter() - start)
    return dict(loss=value, seconds=min(seconds), mb=peak_memory() - before)


def benchmark(args: argparse.Namespace) -> dict:
    """Measure every form of every part, each in a fresh process."""
    results = {}
    for part in PARTS:
        for form in FORMS:
            command = [sys.executable, __file__, '--measure', form, part]
            for name in ('size', 'threads', 'repeat'):
                command += [f'--{name}', str(getattr(args, name))]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            results.setdefault(part, {})[form] = json.loads(done.stdout)
    return results


def table(results: dict) -> str:
    """Format the figures as Markdown."""
    lines = [
        '| samples | naive s | ours s | faster | naive MB | ours MB | '
        'less memory | relative difference |',
        '|---|---|---|---|---|---|---|---|',
    ]
    for part, forms in results.items():
        naive, ours = forms['naive'], forms['ours']
        lines.append(
            f'| {part} | {naive["seconds"]:.3f} | {ours["seconds"]:.3f} | '
            f'{naive["seconds"] / ours["seconds"]:.1f}x | '
            f'{naive["mb"]:.0f} | {ours["mb"]:.0f} | '
            f'{naive["mb"] / max(ours["mb"], 1):.1f}x | '
            f'{abs(ours["loss"] / naive["loss"] - 1):.0e} |'
        )
    return '\n'.join(lines)


def main() -> None:
    """Measure and print."""
    args = parse_args()
    if args.size % PATCH or args.size == PATCH:
        sys.exit(f'error: --size {args.size}: expected a multiple of {PATCH}, {2 * PATCH} or more')
    if args.measure:
        with contextlib.redirect_stdout(sys.stderr):
            result = measure(*args.measure, args)
        print(json.dumps(result))
        return
    import torch

    results = benchmark(args)
    about = dict(device='cpu', torch=torch.__version__, threads=args.threads, size=args.size)
    if args.json:
        print(json.dumps({**about, 'results': results}, indent=2))
        return
    print(', '.join(f'{k} {v}' for k, v in about.items()), end='\n\n')
    print(table(results))


if __name__ == '__main__':
    sys.exit(guard(main))
