"""Time training steps beside the published order of the same steps.

python projects/step_speed/compare_steps.py [CONFIG ...] --threads 2

Networks, losses and optimizers are those of a recipe, the images are random,
and so are the weights: loading and scoring images is not counted. Where
published.py knows the recipe's method, both steps run in turns in one
process, on copies of the same networks, and only if their losses agree. A
recipe that trains in phases has a row for each.
"""

import argparse
import contextlib
import functools
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from mmgan_compress.cli.errors import guard  # noqa: E402
from mmgan_compress.core.tables import markdown  # noqa: E402

PHASES = ('teacher', 'student', 'joint')
RECIPES = ('omgd_cyclegan', 'omgd_pix2pix', 'crd_cyclegan', 'gcc_pix2pix')
GEMM_SIDE = 2048
TOLERANCE = 1e-4  # relative difference of losses in float32


def parse_args() -> argparse.Namespace:
    """Parse the command line; imports nothing heavy, so -h is quick."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('configs', nargs='*', metavar='CONFIG', help=f'recipes (default: {", ".join(RECIPES)})')
    add('--size', type=int, nargs='+', help='sides of the images (default: those of the recipe)')
    add('--threads', type=int, nargs='+', default=[2], help='threads of torch (default: 2)')
    add('--device', help='cpu or cuda (default: cuda where there is one)')
    add('--rounds', type=int, default=5, help='timed rounds (default: %(default)s)')
    add('--only', metavar='PHASE', choices=PHASES, help='one phase: teacher, student or joint')
    add('--demo', action='store_true', help='the recipes as --demo trains them')
    add('--amp', action='store_true', help='our step with --amp; losses are not compared')
    add('--profile', action='store_true', help='also the time of each part of a step')
    add('--out', metavar='FILE.json', help='write the figures to a file as well')
    return parser.parse_args()


def build(cfg, device: str) -> tuple:
    """Build the model and the optimizers of a recipe as Runner does.

    But for the weights, which cost the same if they are random: neither the
    perceptual network nor teachers need files.
    """
    from mmengine.optim import build_optim_wrapper

    from mmgan_compress.registry import MODELS

    perceptual = cfg.model.distiller.get('perceptual') or dict(type='mmgan_compress.VGG16Features')
    cfg.model.distiller.perceptual = dict(perceptual, weights='random')
    model = MODELS.build(cfg.model)
    model.distiller.set_epoch_length(1)
    model.to(device).train()
    return model, build_optim_wrapper(model, cfg.optim_wrapper)


def random_inputs(cfg, model, size: int, device: str) -> dict:
    """Return a batch as the model hands it to the distiller: images of both
    domains, those of a stored teacher, and the further streams.
    """
    import torch

    from mmgan_compress.core.channels import image_channels
    from mmgan_compress.core.inputs import is_noise

    loader = cfg.train_dataloader
    channels = {domain: 3 for domain in cfg.model.related_domains}
    channels.update(loader.dataset.get('channels') or {})
    target = cfg.model.default_domain
    generator = model.generators[target]
    if is_noise(generator):
        del channels[model.source_of(target)]
    else:
        channels[model.source_of(target)] = image_channels(generator)
    names = list(channels) + [
        f'teacher_{domain}' for domain in loader.dataset.get('teacher_images') or {}
    ]

    scale = loader.dataset.get('scale', 1)
    sides = {name: scale * size if name == target else size for name in names}

    def noise() -> dict:
        numbers = loader.dataset.get('noise_size')
        shape = loader.batch_size, numbers or 0
        return dict(noise=torch.randn(shape, device=device)) if numbers else {}

    def images() -> dict:
        return {
            f'img_{name}': 2
            * torch.rand(
                loader.batch_size,
                channels[name.removeprefix('teacher_')],
                side,
                side,
                device=device,
            )
            - 1
            for name, side in sides.items()
        } | noise()

    return {**images(), **{s: images() for s in model.distiller.streams}}


def first_iterations(distiller) -> dict[str, int]:
    """Return where each phase of a run begins, by its name."""
    if distiller.offline:
        return {'student': 0}
    schedule = distiller.schedule
    length = schedule.block * schedule.iters_per_epoch
    found = {schedule.phase(i): i for i in reversed(range(length + 1))}
    return {phase: found[phase] for phase in PHASES if phase in found}


def turn(distiller, step):
    """Return a function that takes steps until teachers that train in some
    steps only have trained, and returns all losses.
    """

    def run() -> dict:
        log = {}
        for _ in range(getattr(distiller, 'teacher_interval', 1)):
            log.update(step())
        return log

    return run


def our_step(model, wrappers, inputs: dict, first: int):
    """Return a function that takes a step of the phase that begins at
    ``first``, and returns its losses.
    """

    def run() -> dict:
        model.distiller.iteration = first
        return steps()

    steps = turn(model.distiller, lambda: model.distiller.train_step(inputs, wrappers))
    return run


def check(ours: dict, published: dict, tolerance: float = TOLERANCE) -> float:
    """Return the largest relative difference of two dicts of losses.

    Raises:
        ValueError: If they have other names, or differ by more.
    """
    ours = {name: float(loss) for name, loss in ours.items() if name.startswith('loss')}
    other = {name: float(loss.detach()) for name, loss in published.items()}
    if set(ours) != set(other):
        raise ValueError(f'losses of one step only: {sorted(set(ours) ^ set(other))}')
    worst, name = max(
        (abs(ours[key] - other[key]) / max(abs(other[key]), 1e-6), key) for key in ours
    )
    if not worst <= tolerance:
        raise ValueError(
            f'{name} is {ours[name]:.6g} in our step and {other[name]:.6g} in the published '
            f'one: nothing was timed, since they are not the same step'
        )
    return worst


def peak_mb(run, device: str) -> float:
    """Return the most memory of tensors that a call holds beyond what was
    held before, in MB.
    """
    import torch

    if device == 'cuda':
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    with torch.profiler.profile(profile_memory=True) as profile:
        run()
    held = most = 0
    for event in sorted(profile.events(), key=lambda event: event.time_range.end):
        held += event.self_cpu_memory_usage
        most = max(most, held)
    return most / 1e6


def flops(run) -> int:
    """Return the floating-point operations of a call's convolutions and matrix
    products, forwards and backwards: two for each multiplication.
    """
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def gemm_gflops(device: str) -> float:
    """Return the rate of matrix products, which no step exceeds where its
    convolutions are computed directly.
    """
    import torch

    from mmgan_compress.core.timing import Timing, in_turns

    a = torch.rand(GEMM_SIDE, GEMM_SIDE, device=device)
    seconds = in_turns({'': finished(lambda: a @ a, device)}, 2, 9)['']
    return 2 * GEMM_SIDE**3 / Timing.of(seconds).median / 1e9


def measure(config: str, size: int | None, threads: int, args: argparse.Namespace) -> list[dict]:
    """Return a row for each phase of one recipe."""
    import torch
    from mmengine.config import Config
    from published import STEPS

    from mmgan_compress.core.timing import Timing, in_turns
    from mmgan_compress.engine.channels import fit_channels
    from mmgan_compress.engine.precision import use_amp
    from mmgan_compress.engine.quick import set_size

    torch.set_num_threads(threads)
    peak = gemm_gflops(args.device)
    cfg = Config.fromfile(config)
    if args.demo:
        from mmgan_compress.demo import apply_demo

        apply_demo(cfg)
    fit_channels(cfg)
    if size:
        set_size(cfg, size)
    size = cfg.train_dataloader.dataset.size
    if args.amp:
        use_amp(cfg)
    torch.manual_seed(0)
    model, wrappers = build(cfg, args.device)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # both steps would draw differently
    inputs, batch = random_inputs(cfg, model, size, args.device), cfg.train_dataloader.batch_size
    kind, phases = STEPS.get(model.distiller.method, (None, {}))
    rows = []
    for phase, first in first_iterations(model.distiller).items():
        if args.only not in (None, phase):
            continue
        runs = dict(ours=our_step(model, wrappers, inputs, first))
        row = dict(recipe=Path(config).stem, phase=phase, batch=batch, size=size, threads=threads)
        if phase in phases:
            published = kind(model, wrappers)
            step = functools.partial(getattr(published, phases[phase]), inputs)
            runs['published'] = turn(model.distiller, step)
            tolerance = float('inf') if args.amp else TOLERANCE
            row['difference'] = check(runs['ours'](), runs['published'](), tolerance)
        seconds = in_turns(
            {name: finished(run, args.device) for name, run in runs.items()}, 1, args.rounds
        )
        interval = getattr(model.distiller, 'teacher_interval', 1)
        for name, taken in seconds.items():
            row[f'{name}_s'] = Timing.of(taken).median / interval
            row[f'{name}_mb'] = peak_mb(runs[name], args.device)
        row['images_per_s'] = batch / row['ours_s']
        row['gflops'] = flops(runs['ours']) / interval / row['ours_s'] / 1e9
        row['of_peak'] = row['gflops'] / peak
        if 'published' in runs:
            ratios = Timing.of([a / b for a, b in zip(*seconds.values())])
            row.update(ratio=ratios.median, iqr=ratios.iqr)
        if args.profile:
            from profiling import parts

            holders = dict(ours=model)
            if phase in phases:
                holders['published'] = published
            row['parts'] = {
                name: parts(run, parts_of(holders[name].distiller)) for name, run in runs.items()
            }
        rows.append(row)
    return rows


def parts_of(distiller) -> dict:
    """Return the parts of a step that are networks or losses, by name."""
    found = {type(loss).__name__: loss for loss in next(iter(distiller.losses.values()))}
    found |= {f'student {domain}': net for domain, net in distiller.model.generators.items()}
    for name, networks in distiller.latest_networks().items():
        for domain, network in networks.items():
            found[f'{name} {domain}'] = network
            found[f'discriminator of {domain}'] = distiller.discriminator_of(name, domain)
    for domain, network in distiller.student_discriminators.items():
        found[f"student's discriminator of {domain}"] = network
    found['perceptual'] = distiller.perceptual
    return {name: network for name, network in found.items() if network is not None}


def finished(run, device: str):
    """Return the same function, that waits for the device."""
    import torch

    def both():
        run()
        if device == 'cuda':
            torch.cuda.synchronize()

    return both


def table(rows: list[dict]) -> str:
    """Format the figures as Markdown."""
    header = ['recipe, phase', 'size', 'threads', 'published', 'ours', 'ratio', 'images/s']
    header += ['GFLOP/s', 'of peak', 'memory']
    lines = []
    for row in rows:
        published, ratio, memory = '', '', f'{row["ours_mb"]:.0f} MB'
        if 'ratio' in row:
            published = f'{row["published_s"]:.3f} s'
            ratio = f'{row["ratio"]:.2f} ± {row["iqr"] / 2:.2f}'
            memory = f'{row["published_mb"]:.0f} → {memory}'
        cells = [f'{row["recipe"]}, {row["phase"]}', f'{row["size"]}', f'{row["threads"]}']
        cells += [published, f'{row["ours_s"]:.3f} s', ratio, f'{row["images_per_s"]:.2f}']
        lines.append([*cells, f'{row["gflops"]:.0f}', f'{row["of_peak"]:.0%}', memory])
    return markdown(header, lines)


def main() -> None:
    """Measure recipe by recipe and print."""
    args = parse_args()
    from mmgan_compress.core.configs import find_config

    configs = [find_config(config) for config in args.configs] or [
        str(ROOT / f'configs/{name}.py') for name in RECIPES
    ]
    if args.rounds < 1:
        sys.exit(f'error: --rounds {args.rounds}: expected 1 or more')
    # libraries log to standard output; only the result may stand there
    with contextlib.redirect_stdout(sys.stderr):
        import torch
        from mmengine.registry import init_default_scope

        import mmgan_compress.registry  # noqa: F401, makes mmagic importable

        init_default_scope('mmagic')
        args.device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
        rows = [
            row
            for config in configs
            for size in args.size or [None]
            for threads in args.threads
            for row in measure(config, size, threads, args)
        ]
    about = dict(
        device=torch.cuda.get_device_name() if args.device == 'cuda' else 'cpu',
        torch=torch.__version__,
        rounds=args.rounds,
    )
    print(', '.join(f'{k} {v}' for k, v in about.items()), end='\n\n')
    print(table(rows))
    if args.out:
        Path(args.out).write_text(json.dumps({**about, 'rows': rows}, indent=2) + '\n')


if __name__ == '__main__':
    sys.exit(guard(main))
