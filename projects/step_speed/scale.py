"""Measure steps on several processes, and count what they send.

torchrun --nproc_per_node 2 projects/step_speed/scale.py configs/omgd_cyclegan.py --size 64
python projects/step_speed/scale.py --traffic

Each process has one thread and the batch of the recipe. CPUs only.
"""

import argparse
import contextlib
import os
import sys
import time
from pathlib import Path

from compare_steps import ROOT, build, first_iterations, our_step, random_inputs

from mmgan_compress.cli.errors import guard
from mmgan_compress.core.tables import markdown


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='*', help='recipes (default: configs/*.py)')
    parser.add_argument('--size', type=int, default=64, help='side of the images')
    parser.add_argument('--steps', type=int, default=10, help='timed steps of a phase')
    parser.add_argument('--traffic', action='store_true', help='only the bytes of gradients')
    return parser.parse_args()


def gradient_bytes(wrappers) -> dict[str, int]:
    """Return the bytes of the gradients of each optimizer, which a step
    averages over the processes.
    """
    return {
        name: sum(
            p.numel() * p.element_size()
            for group in wrapper.param_groups
            for p in group['params']
            if p.requires_grad
        )
        for name, wrapper in wrappers.items()
    }


def traffic(configs: list[str]) -> str:
    """Return the bytes that one process sends and receives, as Markdown."""
    import torch
    from mmengine.config import Config

    rows = []
    for config in configs:
        with torch.device('meta'):
            _, wrappers = build(Config.fromfile(config), 'meta')
        sent = gradient_bytes(wrappers)
        teaching = sum(sent.pop(name, 0) for name in ('teachers', 'discriminators'))
        figures = (teaching, sum(sent.values()))
        rows.append([Path(config).stem, *(f'{figure / 1e6:.1f} MB' for figure in figures)])
    return markdown(['recipe', 'teachers, discriminators', 'student and all else'], rows)


def rates(config: str, args: argparse.Namespace) -> dict[str, float]:
    """Return images per second of all processes, by phase."""
    import torch
    from mmengine.config import Config
    from mmengine.dist import barrier, get_rank, get_world_size

    from mmgan_compress.engine.distributed import DistributedTranslator
    from mmgan_compress.engine.quick import set_size

    cfg = Config.fromfile(config)
    set_size(cfg, args.size)
    torch.manual_seed(get_rank())
    model, wrappers = build(cfg, 'cpu')
    inputs = random_inputs(cfg, model, args.size, 'cpu')
    found = {}
    for phase, first in first_iterations(model.distiller).items():
        run = our_step(model, wrappers, inputs, first)
        if get_world_size() > 1:
            model.__dict__['train_step'] = lambda run=run: run()
            run = DistributedTranslator(model).train_step
        for step in range(args.steps + 2):
            if step == 2:
                barrier()
                begin = time.perf_counter()
            run()
        barrier()
        seconds = (time.perf_counter() - begin) / args.steps
        found[phase] = get_world_size() * cfg.train_dataloader.batch_size / seconds
    return found


def main() -> None:
    """Measure, and print on the first process."""
    args = parse_args()
    from mmgan_compress.core.configs import find_config

    configs = [find_config(config) for config in args.configs] or sorted(
        map(str, ROOT.glob('configs/*.py'))
    )
    with contextlib.redirect_stdout(sys.stderr):
        import torch
        from mmengine.registry import init_default_scope

        import mmgan_compress.registry  # noqa: F401, makes mmagic importable

        init_default_scope('mmagic')
        torch.set_num_threads(1)
        if args.traffic:
            text = traffic(configs)
        else:
            if 'RANK' in os.environ:
                torch.distributed.init_process_group('gloo')
            text = '\n'.join(
                f'{Path(config).stem}, {args.size} px, {phase}: {rate:.2f} images/s'
                for config in configs
                for phase, rate in rates(config, args).items()
            )
    if os.environ.get('RANK', '0') == '0':
        print(text)


if __name__ == '__main__':
    sys.exit(guard(main))
