"""Does distillation help? Train demo students with and without a teacher.

python projects/distillation_gain/compare_distilled.py RECIPE [...] --out DIR
Each recipe runs with --demo; then the same student, from the same seed and
for the same number of steps on the same data, as an ordinary CycleGAN or
Pix2Pix. Both are scored by the report at the end of their runs.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from mmgan_compress.cli.errors import guard  # noqa: E402
from mmgan_compress.core.files import refuse_taken, write_text  # noqa: E402
from mmgan_compress.core.schedule import TrainSchedule  # noqa: E402
from mmgan_compress.core.tables import markdown  # noqa: E402


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('configs', nargs='+', help='recipes to compare')
    parser.add_argument('--out', default='work_dirs/compare_distilled')
    parser.add_argument('--seed', type=int, default=233)
    parser.add_argument('--overwrite', action='store_true', help='replace tables that are there')
    return parser.parse_args()


def baseline_of(config: str) -> tuple[str, int, str]:
    """Return the recipe of a student alone, the student's steps, and what
    it generates.
    """
    from mmengine.config import Config

    from mmgan_compress.core.configs import find_config
    from mmgan_compress.demo import apply_demo

    cfg = Config.fromfile(find_config(config))
    apply_demo(cfg)
    schedule = TrainSchedule(**cfg.model.distiller.schedule)
    steps = sum(schedule.phase(i) != 'teacher' for i in range(schedule.total_iters))
    kind = 'unet16' if 'Unet' in cfg.model.generator.type else 'mobile16'
    model = 'cyclegan' if 'Unpaired' in cfg.train_dataloader.dataset.type else 'pix2pix'
    found = (REPO / 'configs/plain').glob(f'plain_{model}-{kind}_*.py')
    return str(next(found)), steps, cfg.model.default_domain


def train(config: str, work_dir: Path, seed: int, *options: str) -> dict:
    """Run a recipe's demo, once, and return the student's figures."""
    if not (work_dir / 'report.json').is_file():
        command = [
            str(REPO / 'tools/train.py'),
            config,
            '--demo',
            '--seed',
            str(seed),
            '--work-dir',
            str(work_dir),
        ]
        if options:
            command += ['--cfg-options', *options]
        subprocess.run([sys.executable, *command], check=True)
    rows = json.loads((work_dir / 'report.json').read_text())['rows']
    return next(r for r in rows if r['name'] == 'student')['metrics']


def main():
    """Train all pairs and write the table."""
    args = parse_args()
    out = Path(args.out)
    files = [out / 'comparison.md', out / 'comparison.json']
    refuse_taken(files, overwrite=args.overwrite)
    header, lines, results = [], [], {}
    for config in args.configs:
        name = Path(config).stem
        baseline, steps, domain = baseline_of(config)
        alone = train(
            baseline,
            out / f'{Path(baseline).stem}-{steps}',
            args.seed,
            f'model.distiller.schedule.epochs={steps}',
            f'model.distiller.schedule.constant={steps // 2}',
            f'model.distiller.schedule.block={steps}',
        )
        taught = train(config, out / name, args.seed)
        results[name] = dict(steps=steps, distilled=taught, alone=alone)
        columns = [
            k
            for k in taught
            if k.startswith(f'{domain}/') and k in alone and not k.endswith('_std')
        ]
        header = header or [f'student (steps, seed {args.seed})', *columns]
        for row, figures in ((f'{name} ({steps})', taught), (f'{name}: alone', alone)):
            lines.append([row, *(f'{figures[k]:.4g}' for k in columns)])
    text = markdown(header, lines) + '\n'
    write_text(files[0], text)
    write_text(files[1], json.dumps(results, indent=1))
    print(text)


if __name__ == '__main__':
    sys.exit(guard(main))
