"""docs/results.md of the figures of all runs."""

import statistics
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image, ImageDraw

from mmgan_compress.core import units
from mmgan_compress.core.files import atomic_write, write_text
from mmgan_compress.core.tables import markdown
from mmgan_compress.core.timing import WIDE

TEACHER, ALONE, IMITATION = 'teacher', 'alone', 'imitation'
TITLES = {
    'edges2emoji': 'Paired: edges to 3-D emoji, 64 px',
    'elpv': 'Unpaired: solar cells, mono- to polycrystalline, 64 px',
    'cartoon': 'A finished teacher: CartoonGAN (hayao) on photographs, 128 px',
}
# the figure that decides, the smaller the better
MAIN = {'edges2emoji': 'FID', 'elpv': 'FID', 'cartoon': 'LPIPS'}
FIGURES = ('FID', 'LPIPS', 'PSNR')  # of the front page
RUNTIMES = dict(onnxruntime='ONNX Runtime', openvino='OpenVINO')
LABEL = 110  # px, left of the pictures

HEAD = """# Results

Students against their teachers and against the same student without one, all
with the same CPU minutes of training on one thread. Every figure is of a
committed file in `projects/leaderboard/runs`; `python
projects/leaderboard/leaderboard.py table` wrote this page, and the README
there says how to run it.

*alone* is the student's own GAN without a teacher; *imitation* is SSIM and
squared difference to the teacher's picture and nothing else. A method that is
not better than both is not worth its complexity on that task. ± is the
standard deviation over seeds (training and scoring); rows without it have one
seed. *gap closed* is how much of the way from the student alone to its
teacher a method goes, by the figure that decides.
"""

ADVICE = """## What to use when

- There are pairs, and the teacher is a finished Pix2Pix (`edges2emoji`): imitate its
  pictures, and let the student play against a discriminator of its own, with L1 to the
  truth (`tuned_memory_gan`, the losses of [offline_pix2pix](../configs/offline/README.md)).
  Its FID is near to the teacher's, whose MACs are 17 times as many; LPIPS, SSIM and PSNR
  are better than those of the student alone, too. Plain imitation has the best PSNR and
  SSIM, but its pictures are smooth, and its FID is behind that of the student alone. OMGD's
  published losses look through VGG-16, which costs more than all else at 64 px: a sixth of
  the steps in the same minutes, and the worst figures. Give them hours, or leave them.
- The teacher is finished, and there is no truth (`cartoon`): imitate its pictures by SSIM
  and squared difference. One VGG feature beside them (`tuned_vgg`, the losses of
  [offline_cyclegan](../configs/offline/README.md)) makes LPIPS smaller in the mean and
  SSIM and PSNR no better, after fewer steps of the same 20 CPU minutes; the spread over
  seeds is nearly as large as the gain. (LPIPS looks through VGG-16, too.) Both are far
  nearer to the teacher than OMGD's and CRD's published losses. A discriminator
  (`tuned_gan`) is no gain, and a larger learning rate (`tuned_rate`) is worse. A pruned
  copy of the teacher that imitates it is behind a new student of the same MACs.
- The teacher is still to be trained: not measured yet.
"""


def write(tasks: dict[str, dict[str, list[dict]]], runs: Path, out: Path) -> None:
    """Write the page and a picture for each task.

    Args:
        tasks (dict): Figures of the runs by task and method, comparable.
        runs (Path): Folder with the strips of pictures.
        out (Path): Folder to write into.
    """
    parts = [HEAD, *([] if tasks else ['No run is finished yet.'])]
    for task, methods in tasks.items():
        parts += [f'## {TITLES[task]}\n', table(task, methods), '', *below(task, methods), '']
        picture = f'results_{task}_cost.png'
        with atomic_write(out / picture) as part:
            _plot_cost(task, methods, part)
        parts += [f'![{MAIN[task]} against MACs, {task}]({picture})', '']
        strips = _strips(runs / task, methods)
        if strips:
            picture = f'results_{task}.png'
            with atomic_write(out / picture) as part:
                _grid(strips).save(part, format='PNG', optimize=True)
            parts += [f'![test images of {task}]({picture})', '']
    parts += [ADVICE] if tasks else []
    write_text(out / 'results.md', '\n'.join(parts).rstrip() + '\n')


def table(task: str, methods: dict[str, list[dict]]) -> str:
    """Return the table of a task."""
    first = next(iter(methods.values()))[0]
    names = [name for name in first['metrics'] if not name.endswith('_std')]
    base = first if first['method'] == TEACHER else None
    header = ['method', 'seeds', 'parameters', 'MACs', "MACs, papers'"]
    header += [name.partition('/')[2] for name in names]
    header += ['gap closed', *(f'{title}, ms' for title in RUNTIMES.values())]
    header += ['CPU min', 'iterations']
    levels = _levels(task, methods)
    rows = []
    for method, found in methods.items():
        run = found[0]
        row = [method, str(len(found)), units.count(run['params'])]
        row += [_cost(run, base, key) for key in ('macs', 'macs_paper')]
        row += [_spread([r['metrics'].get(name) for r in found]) for name in names]
        row += [_gap(levels, method)]
        row += [_latency(run, runtime) for runtime in RUNTIMES]
        row += (
            ['', '']
            if method == TEACHER
            else [
                _spread([r['cpu_minutes'] for r in found]),
                _spread([r['iterations'] for r in found]),
            ]
        )
        rows.append(row)
    return markdown(header, rows)


def front(tasks: dict[str, dict[str, list[dict]]]) -> str:
    """Return the table of the README: of each task the best, and what it must beat."""
    header = ['task', 'method', 'MACs', *FIGURES]
    rows = []
    for task, methods in tasks.items():
        levels = _levels(task, methods)
        students = {
            method: level for method, level in levels.items() if method != TEACHER and level
        }
        best = min(students, key=students.__getitem__)
        for method in dict.fromkeys([TEACHER, ALONE, IMITATION, best]):
            if method in methods:
                found = methods[method]
                domain = next(iter(found[0]['metrics'])).partition('/')[0]
                figures = [
                    _spread([run['metrics'].get(f'{domain}/{name}') for run in found])
                    for name in FIGURES
                ]
                rows.append([task, method, units.count(found[0]['macs']), *figures])
    return markdown(header, rows, 2)


def below(task: str, methods: dict[str, list[dict]]) -> list[str]:
    """Return the lines under a table: what was measured, and how."""
    every = [run for found in methods.values() for run in found]
    first, last = every[0], every[-1]
    counts = ', '.join(f'{key} {n}' for key, n in first['data']['counts'].items())
    machine = last['latency']['machine']
    versions = ', '.join(f'{key} {value}' for key, value in last['versions'].items())
    wide = sorted(
        {
            run['method']
            for run in every
            for runtime in RUNTIMES
            if (timed := run['latency'].get(runtime))
            and timed['iqr_ms'] > WIDE * timed['median_ms']
        }
    )
    return [
        f'- Decides: {MAIN[task]}. Data: {first["data"]["name"]} ({counts}); '
        f'{first["data"]["licence"]}.',
        f"- MACs: {first['macs_protocol']}; in brackets: the teacher's divided by them.",
        *(f'- {name.partition("/")[2]}: {text}.' for name, text in first['protocols'].items()),
        f'- Latency: 8-bit picture to 8-bit picture, batch 1, {machine["threads"]} thread, '
        f'{machine["cpu"]}, beside other work'
        + (f'; spread above {100 * WIDE:.0f} %: {", ".join(wide)}.' if wide else '.'),
        f'- {versions}.',
    ]


def _levels(task: str, methods: dict[str, list[dict]]) -> dict[str, float | None]:
    """Return the figure that decides, of each method."""
    first = next(iter(methods.values()))[0]
    domain = next(iter(first['metrics'])).partition('/')[0]
    return {method: _mean(found, f'{domain}/{MAIN[task]}') for method, found in methods.items()}


def _plot_cost(task: str, methods: dict[str, list[dict]], file) -> None:
    """Draw the figure that decides against the MACs."""
    figure, axes = plt.subplots(figsize=(6, 4), layout='constrained')
    for method, level in _levels(task, methods).items():
        macs = methods[method][0]['macs']
        if level is not None:
            axes.plot(macs, level, 'o')
            axes.annotate(method, (macs, level), (5, 5), textcoords='offset points', fontsize=8)
    axes.set(xscale='log', xlabel='MACs', ylabel=f'{MAIN[task]} (smaller is better)')
    axes.margins(x=0.2, y=0.1)
    figure.savefig(file, format='png', dpi=100)
    plt.close(figure)


def _mean(found: list[dict], name: str) -> float | None:
    values = [run['metrics'][name] for run in found if run['metrics'].get(name) is not None]
    return statistics.fmean(values) if values else None


def _spread(values: list) -> str:
    values = [value for value in values if value is not None]
    if not values:
        return '-'
    text = f'{statistics.fmean(values):.4g}'
    return text + (f' ± {statistics.stdev(values):.2g}' if len(values) > 1 else '')


def _cost(run: dict, base: dict | None, key: str) -> str:
    text = units.count(run[key])
    return text if base in (None, run) else f'{text} ({base[key] / run[key]:.1f}x)'


def _gap(levels: dict[str, float | None], method: str) -> str:
    """Return how far a method gets from the student alone to its teacher."""
    alone, teacher, own = levels.get(ALONE), levels.get(TEACHER), levels[method]
    if None in (alone, teacher, own) or method in (ALONE, TEACHER) or alone <= teacher:
        return ''
    return f'{(alone - own) / (alone - teacher):.0%}'


def _latency(run: dict, runtime: str) -> str:
    timed = run['latency'].get(runtime)
    return f'{timed["median_ms"]:.3g}' if timed else '-'


def _strips(folder: Path, methods: dict) -> dict[str, Path]:
    """Return the strips of pictures by their label, from input to target."""
    names = [f'{TEACHER}-input', *methods, f'{TEACHER}-target']
    found = {name.rpartition('-')[2]: folder / f'{name}.png' for name in names}
    return {label: file for label, file in found.items() if file.is_file()}


def _grid(strips: dict[str, Path]) -> Image.Image:
    images = {label: Image.open(file).convert('RGB') for label, file in strips.items()}
    width = max(image.width for image in images.values())
    canvas = Image.new(
        'RGB', (LABEL + width, sum(image.height + 2 for image in images.values())), 'white'
    )
    draw, top = ImageDraw.Draw(canvas), 0
    for label, image in images.items():
        draw.text((4, top + image.height // 2 - 6), label, fill='black')
        canvas.paste(image, (LABEL, top))
        top += image.height + 2
    return canvas
