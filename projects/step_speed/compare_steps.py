"""Measure what a training step of each recipe costs.

python projects/step_cost/benchmark_steps.py [CONFIG ...] [--demo]

Networks, losses and optimizers are those of the recipe, the images are
random, and so are the weights: loading and scoring images is not counted. A
recipe that trains in phases has a figure for each.
"""

import argparse
import contextlib
import json
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from mmgan_compress.cli.errors import guard  # noqa: E402

PHASES = ('teacher', 'student', 'joint')


def parse_args() -> argparse.Namespace:
    """Parse the command line; imports nothing heavy, so -h is quick."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'configs',
        nargs='*',
        metavar='CONFIG',
        help='recipes (default: the main ones, configs/*.py)',
    )
    parser.add_argument(
        '--size', type=int, help='side length of the images (default: that of the training images)'
    )
    parser.add_argument(
        '--threads', type=int, default=2, help='threads of torch (default: %(default)s)'
    )
    parser.add_argument(
        '--steps',
        type=int,
        default=3,
        help='steps of a phase, their median counts (default: %(default)s)',
    )
    parser.add_argument('--demo', action='store_true', help='the recipes as --demo trains them')
    parser.add_argument('--json', action='store_true', help='JSON on standard output')
    return parser.parse_args()


def build(cfg, device: str) -> tuple:
    """Build the model and the optimizers of a recipe as Runner does.

    But for the weights, which cost the same if they are random: neither the
    perceptual network nor teachers need files.
    """
    from mmengine.optim import build_optim_wrapper

    from mmgan_compress.registry import MODELS

    cfg.model.distiller.perceptual = dict(type='mmgan_compress.VGG16Features', weights='random')
    model = MODELS.build(cfg.model)
    model.distiller.set_epoch_length(1)
    model.to(device).train()
    return model, build_optim_wrapper(model, cfg.optim_wrapper)


def random_inputs(cfg, model, size: int, device: str) -> dict:
    """Return a batch as the model hands it to the distiller: images of both
    domains, those of a stored teacher, and the further streams.
    """
    import torch

    loader = cfg.train_dataloader
    channels = {domain: 3 for domain in cfg.model.related_domains}
    channels.update(loader.dataset.get('channels') or {})
    names = list(channels) + [
        f'teacher_{domain}' for domain in loader.dataset.get('teacher_images') or {}
    ]

    def images() -> dict:
        return {
            f'img_{name}': 2
            * torch.rand(
                loader.batch_size,
                channels[name.removeprefix('teacher_')],
                size,
                size,
                device=device,
            )
            - 1
            for name in names
        }

    return {**images(), **{s: images() for s in model.distiller.streams}}


def first_iterations(distiller) -> dict[str, int]:
    """Return where each phase of a run begins, by its name."""
    if distiller.offline:
        return {'student': 0}
    schedule = distiller.schedule
    length = schedule.block * schedule.iters_per_epoch
    found = {schedule.phase(i): i for i in reversed(range(length + 1))}
    return {phase: found[phase] for phase in PHASES if phase in found}


def seconds_per_iteration(
    model, wrappers, inputs: dict, first: int, steps: int, device: str
) -> float:
    """Return the median time of a step after one that warms up.

    Where teachers train in some iterations only, a step is as many as they
    take to come round.
    """
    import torch

    interval = getattr(model.distiller, 'teacher_interval', 1)
    times = []
    for _ in range(steps + 1):
        model.distiller.iteration = first
        start = time.perf_counter()
        for _ in range(interval):
            model.distiller.train_step(inputs, wrappers)
        if device == 'cuda':
            torch.cuda.synchronize()
        times.append((time.perf_counter() - start) / interval)
    return statistics.median(times[1:])


def measure(config: str, args: argparse.Namespace, device: str) -> dict:
    """Return batch, size and seconds by phase of one recipe."""
    from mmengine.config import Config

    cfg = Config.fromfile(config)
    if args.demo:
        from mmgan_compress.demo import apply_demo

        apply_demo(cfg)
    from mmgan_compress.engine.channels import fit_channels

    fit_channels(cfg)
    size = args.size or cfg.train_dataloader.dataset.size
    model, wrappers = build(cfg, device)
    inputs = random_inputs(cfg, model, size, device)
    return dict(
        recipe=Path(config).stem,
        batch=cfg.train_dataloader.batch_size,
        size=size,
        seconds={
            phase: seconds_per_iteration(model, wrappers, inputs, first, args.steps, device)
            for phase, first in first_iterations(model.distiller).items()
        },
    )


def table(rows: list[dict]) -> str:
    """Format the figures as Markdown, seconds per iteration."""
    lines = [
        '| recipe | batch | size | teacher phase | student phase | joint |',
        '|---|---:|---:|---:|---:|---:|',
    ]
    for row in rows:
        cells = [
            f'{row["seconds"][phase]:.2f} s' if phase in row['seconds'] else '' for phase in PHASES
        ]
        lines.append(
            f'| {row["recipe"]} | {row["batch"]} | {row["size"]} | ' + ' | '.join(cells) + ' |'
        )
    return '\n'.join(lines)


def main() -> None:
    """Measure recipe by recipe and print."""
    args = parse_args()
    from mmgan_compress.core.configs import find_config

    configs = [find_config(config) for config in args.configs] or sorted(
        map(str, ROOT.glob('configs/*.py'))
    )
    if args.steps < 1:
        sys.exit(f'error: --steps {args.steps}: expected 1 or more')
    # libraries log to standard output; only the result may stand there
    with contextlib.redirect_stdout(sys.stderr):
        import torch
        from mmengine.registry import init_default_scope

        import mmgan_compress.registry  # noqa: F401, makes mmagic importable

        init_default_scope('mmagic')
        torch.set_num_threads(args.threads)
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
        rows = [measure(config, args, device) for config in configs]
    about = dict(
        device=torch.cuda.get_device_name() if device == 'cuda' else 'cpu',
        threads=args.threads,
        torch=torch.__version__,
        steps=args.steps,
    )
    if args.json:
        print(json.dumps({**about, 'recipes': rows}, indent=2))
        return
    print(', '.join(f'{k} {v}' for k, v in about.items()), end='\n\n')
    print(table(rows))


if __name__ == '__main__':
    sys.exit(guard(main))
