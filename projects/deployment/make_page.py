r"""What does it cost in each runtime? The figures of docs/deployment.md.

    python projects/deployment/make_page.py work_dirs/offline_cyclegan-demo/student.pth

Measures the demo's student and teacher, then OMGD's student and the dense
ResNet-9 with random weights, by `mmgan-compress benchmark`, and writes the
tables of docs/deployment.md and README.md anew, after each pair; those of a pair
that is not measured stay. What is converted or measured already is not done
again: remove its folder in --out. --convert only makes the models, which other
work on the machine may slow down.
"""

import argparse
import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from mmgan_compress.benchmark.report import loss_cells  # noqa: E402
from mmgan_compress.cli.errors import guard  # noqa: E402
from mmgan_compress.core.commands import command_line  # noqa: E402
from mmgan_compress.core.files import write_text  # noqa: E402
from mmgan_compress.core.tables import markdown  # noqa: E402
from mmgan_compress.core.units import count  # noqa: E402

DEMO = 'offline_cyclegan.py'
# by title: the networks, of which the second is the measure
PAIRS = {
    'demo': ('The demo', ['{student}', '{out}/teacher.pth']),
    'omgd': ("OMGD's student", ['omgd_cyclegan.py:student', 'gan_slimming_cyclegan.py:teacher']),
}
BEGIN, END = '<!-- measured: {} -->', '<!-- end -->'
RUNTIMES = (
    'eager onnxruntime openvino ncnn inductor torchscript torch-export litert executorch mnn coreml'
).split()
SETTINGS = (
    '--precisions fp32 fp16 int8 --threads 1 2 --rounds 8 --size 256 --overwrite --runtimes'.split()
)
# rows of the front page: of which network, runtime and precision
FRONT = [
    (-1, 'eager', 'fp32'),
    (-1, 'onnxruntime', 'fp32'),
    (0, 'eager', 'fp32'),
    (0, 'onnxruntime', 'fp32'),
    (0, 'openvino', 'fp32'),
    (0, 'openvino', 'int8'),
    (0, 'mnn', 'fp32'),
    (0, 'litert', 'fp32'),
]


def parse_args() -> argparse.Namespace:
    """Parse the command line; imports nothing heavy, so -h is quick."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('student', help='student.pth of make demo')
    parser.add_argument('--out', default='work_dirs/deployment', type=Path)
    parser.add_argument('--quick', action='store_true', help='rough figures')
    parser.add_argument('--convert', action='store_true', help='only convert, measure later')
    return parser.parse_args()


def main():
    """Convert or measure what is missing, and write the pages."""
    args = parse_args()
    for name in PAIRS:
        if not (args.out / name / 'benchmark.json').is_file():
            run_benchmark(name, args)
        if not args.convert:
            write_pages(args.out)


def write_pages(out: Path) -> None:
    """Write the tables of the pairs that are measured; others stay."""
    for name, (title, _) in PAIRS.items():
        file = out / name / 'benchmark.json'
        if file.is_file():
            report = json.loads(file.read_text())
            text = f'## {title}\n\n{protocol(report)}\n\n{network_tables(report)}'
            fill(REPO / 'docs/deployment.md', name, text)
            if name == 'omgd':
                fill(REPO / 'README.md', 'front', front_table(report))


def run_benchmark(name: str, args: argparse.Namespace) -> None:
    """Convert a pair of networks, and measure it if that is asked for."""
    if name == 'demo':
        write_teacher(args.out / 'teacher.pth')
    sources = [source.format(student=args.student, out=args.out) for source in PAIRS[name][1]]
    step = ['--convert' if args.convert else '--keep', *['--quick'] * args.quick]
    words = [*sources, *SETTINGS, *RUNTIMES, *step, '--out', str(args.out / name)]
    subprocess.run(command_line('benchmark', *words), check=True, stdout=subprocess.DEVNULL)


def write_teacher(path: Path) -> None:
    """Write the teacher of the demo as a student file."""
    from mmgan_compress import Student
    from mmgan_compress.core.checkpoints import read_checkpoint, weights_in
    from mmgan_compress.engine.runner_builder import load_config
    from mmgan_compress.models.student_config import build_generator, generator_config

    model = load_config(Namespace(config=DEMO, demo=True, data_root=None)).model.to_dict()
    domain, distiller = model['default_domain'], model['distiller']
    config = generator_config(distiller['teacher']['generator'])
    network = build_generator(config)
    (checkpoint,) = distiller['teacher_checkpoints']
    weights = weights_in(read_checkpoint(checkpoint), f'teacher.generators.{domain}')
    network.load_state_dict(weights)
    domains = model['related_domains']
    Student({domain: network}, {domain: config}, domains, domain, 64, 'demo').save(path)


def ms(row: dict, threads: str) -> float:
    """Return the median of a row, in milliseconds."""
    return row['pictures'][threads]['median_ms']


def protocol(report: dict) -> str:
    """Say on what it was measured."""
    machine = report['machine']
    versions = ', '.join(f'{k} {v}' for k, v in machine['versions'].items() if '_' not in k)
    return (
        f'{machine["cpu"]}, {machine["cores"]} cores, {machine["os"]}, Python '
        f'{machine["python"]}; {versions}. Load before the run: {machine["load"]}.'
    )


def network_tables(report: dict) -> str:
    """Return a table for each network, and what is bad in it."""
    threads = [str(number) for number in report['machine']['threads']]
    times = [f'ms, {number} thread{"s" * (number != "1")}' for number in threads]
    columns = ['runtime', 'precision', 'kB', *times, 'max-abs', 'PSNR, dB', 'images, dB', 'faster']
    parts = []
    for name, facts in report['networks'].items():
        rows = [row for row in report['rows'] if row['network'] == name and row['kb']]
        table = markdown(columns, [cells(row, threads) for row in rows], 2)
        costs = f'{count(facts["params"])} parameters, {count(facts["macs"])} MACs.'
        parts.append(f'### {name}\n\n{costs}\n\n{table}\n\n{remarks(rows, *threads)}'.rstrip())
    return '\n\n'.join(parts)


def cells(row: dict, threads: list[str]) -> list[str]:
    """Return a line of a table."""
    size, *losses = loss_cells(row)
    times, faster = ['not run'] * len(threads), ''
    if 'pictures' in row:
        times, faster = [f'{ms(row, n):.3g}' for n in threads], f'{row["faster"]:.1f}x'
    return [row['runtime'], row['precision'], size, *times, *losses, faster]


def name_of(row: dict) -> str:
    """Say runtime and precision in one."""
    return f'{row["runtime"]} {row["precision"]}'


def remarks(rows: list[dict], first: str, last: str) -> str:
    """Say what is slower than one would expect, too lossy, or uncertain.

    Args:
        rows (list[dict]): Of one network.
        first (str): Number of threads.
        last (str): The larger one.
    """
    timed = {(row['runtime'], row['precision']): row for row in rows if 'pictures' in row}
    usual = timed.get(('onnxruntime', 'fp32'), {})

    def slower(row: dict, other: dict, threads: str) -> bool:
        return bool(other) and ms(row, threads) > ms(other, threads)

    found = {
        f'Slower than onnxruntime fp32 in {first} thread': [
            row for row in timed.values() if slower(row, usual, first)
        ],
        f'No gain by 8 bits in {last} threads': [
            row
            for (runtime, precision), row in timed.items()
            if precision == 'int8' and slower(row, timed.get((runtime, 'fp32'), {}), last)
        ],
        'Further from torch than export allows': [row for row in rows if not row['exact']],
        f'Spread of more than a tenth in {last} threads': [
            row for row in timed.values() if row['wide']
        ],
    }
    return '\n'.join(
        f'- {words}: {", ".join(map(name_of, bad))}.' for words, bad in found.items() if bad
    )


def front_table(report: dict) -> str:
    """Return the lines of the front page."""
    names, threads = list(report['networks']), str(report['machine']['threads'][-1])
    known = {(r['network'], r['runtime'], r['precision']): r for r in report['rows']}
    lines = []
    for index, runtime, precision in FRONT:
        row = known.get((names[index], runtime, precision), {})
        if 'pictures' in row:
            macs = f'{count(report["networks"][names[index]]["macs"])} MACs'
            what = f'{"student" if index == 0 else "ResNet-9"}, {macs}'
            figures = [f'{row["kb"]:,.0f}', f'{ms(row, threads):.3g}', f'{row["faster"]:.1f}x']
            lines.append([what, runtime, precision, *figures])
    times = f'ms, {threads} threads of {report["machine"]["cpu"]}'
    return markdown(['network', 'runtime', 'precision', 'kB', times, 'faster'], lines, 3)


def fill(page: Path, name: str, text: str) -> None:
    """Replace what a page has between two marks."""
    before, begin, rest = page.read_text().partition(BEGIN.format(name))
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f'{page} has no {BEGIN.format(name)} and {END} behind it')
    write_text(page, f'{before}{begin}\n{text}\n{end}{after}')


if __name__ == '__main__':
    sys.exit(guard(main))
