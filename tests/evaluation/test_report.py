"""The table, its files and the picture at the end of a run."""

import json

import pytest
import torch
import torch.nn as nn
from mmengine.evaluator import BaseMetric, Evaluator
from PIL import Image

from mmgan_compress.core import units
from mmgan_compress.core.complexity import count_macs, count_params
from mmgan_compress.evaluation.comparison import save_comparison
from mmgan_compress.evaluation.report import build_report, evaluate, protocols_of
from students import make_model


def network(width):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2, padding=1),
        nn.ConvTranspose2d(width, 3, 4, stride=2, padding=1),
    )


FIGURES = {
    'teacher': {'zebra/FID': 61.53, 'zebra/KID': 0.021, 'zebra/KID_std': 0.004},
    'student': {'zebra/FID': 51.92, 'zebra/KID': 0.018, 'zebra/KID_std': 0.003},
}
PROTOCOLS = {'zebra/FID': '120 generated against 140 real images', 'zebra/KID': '100 subsets of 50'}


@pytest.fixture
def report():
    return build_report(
        {'teacher': network(16)},
        network(4),
        FIGURES,
        PROTOCOLS,
        32,
        notes=['perceptual weights: random'],
    )


def test_counts_are_exact(report):
    teacher, student = report.rows
    assert [teacher.name, student.name] == ['teacher', 'student']
    assert teacher.params == 3 * 16 * 9 + 16 + 16 * 3 * 16 + 3
    assert student.params == 3 * 4 * 9 + 4 + 4 * 3 * 16 + 3
    # the convolution at 16x16 outputs, its transpose at 16x16 inputs or,
    # as papers count, at 32x32 outputs
    assert student.macs == 256 * 3 * 4 * 9 + 256 * 4 * 3 * 16
    assert student.macs_paper == 256 * 3 * 4 * 9 + 1024 * 4 * 3 * 16
    assert student.ratio['params'] == teacher.params / student.params
    assert student.ratio['macs_paper'] == 4
    assert teacher.ratio == {}


def test_costs_with_and_without_the_style_encoder():
    """A given style does not run it: MACs are those without it."""
    net = make_model('styled').generators['zebra']
    report = build_report({}, net, {}, {}, 32)
    (row,), (note,) = report.rows, report.notes
    encoder, shape = net.enc_style, (1, 3, 32, 32)
    macs = count_macs(encoder, shape).macs
    assert row.params == count_params(net) and row.macs == count_macs(net, (1, 11, 32, 32)).macs
    assert f'{units.count(row.params - count_params(encoder))} parameters and ' in note
    assert f'{units.count(row.macs + macs)} MACs, as the papers count' in note


def test_files_hold_the_report(report, tmp_path):
    report.save(tmp_path / 'run')
    report.save(tmp_path / 'run')
    assert sorted(p.name for p in (tmp_path / 'run').iterdir()) == ['report.json', 'report.md']
    saved = json.loads((tmp_path / 'run' / 'report.json').read_text())
    student = saved['rows'][1]
    assert student['params'] == report.rows[1].params
    assert isinstance(student['macs'], int)
    assert student['metrics'] == FIGURES['student']
    assert student['latency']['median_ms'] > 0
    assert student['latency']['threads'] == torch.get_num_threads()
    assert saved['protocols'] == PROTOCOLS
    assert saved['notes'] == ['perceptual weights: random']
    assert saved['size'] == 32


def test_infinite_figure_is_valid_json(tmp_path):
    report = build_report({}, network(4), {'student': {'zebra/PSNR': float('inf')}}, {}, 32)
    report.save(tmp_path)
    text = (tmp_path / 'report.json').read_text()
    row = json.loads(text, parse_constant=pytest.fail)['rows'][0]
    assert row['metrics'] == {'zebra/PSNR': None}


@pytest.mark.parametrize('form', ['to_text', 'to_markdown'])
def test_every_table_has_its_protocols(report, form):
    text = getattr(report, form)()
    for part in (
        'teacher',
        'student',
        '51.92',
        '0.018 ± 0.003',
        '4.0x',
        '120 generated against 140 real images',
        '100 subsets of 50',
        'perceptual weights: random',
        'threads',
        'transposed convolution',
    ):
        assert part in text
    assert 'KID_std' not in text.split('MACs:')[0]


def test_table_is_not_cut_off(capsys):
    figures = {f'photograph/figure{i}': 12.345 for i in range(20)}
    build_report({'teacher': network(4)}, network(4), {'student': figures}, {}, 32).print()
    printed = capsys.readouterr().out
    assert all(name in printed for name in figures)


def test_student_may_have_rows_of_several_checkpoints():
    report = build_report(
        {'wide': network(8), 'deep': network(16)},
        network(4),
        {
            'student, last': {'zebra/FID': 3.0},
            'wide': {'zebra/FID': 1.0},
            'student, best(val)': {'zebra/FID': 2.0},
        },
        {},
        32,
    )
    assert [row.name for row in report.rows] == [
        'wide',
        'deep',
        'student, last',
        'student, best(val)',
    ]
    assert report.rows[2].params == report.rows[3].params
    assert report.rows[3].metrics == {'zebra/FID': 2.0}
    assert report.table()[2][-1] == '-'  # deep was not scored


class Mean(BaseMetric):
    default_prefix = 'zebra'

    def process(self, data_batch, data_samples):
        self.results += [sample['fake_zebra'] for sample in data_samples]

    def compute_metrics(self, results):
        self.protocol = {'zebra/mean': f'{len(results)} images'}
        return dict(mean=float(sum(results)) / len(results))


class Host(nn.Module):
    def val_step(self, batch):
        assert not self.training and not torch.is_grad_enabled()
        return [dict(fake_zebra=x) for x in batch]


@pytest.mark.parametrize('training', [True, False])
def test_evaluate_scores_in_eval_mode_and_restores(training):
    model, evaluator = Host().train(training), Evaluator([Mean()])
    loader = torch.utils.data.DataLoader([1.0, 2.0, 3.0, 6.0], batch_size=3)
    assert evaluate(model, loader, evaluator) == {'zebra/mean': 3}
    assert model.training is training
    assert protocols_of(evaluator) == {'zebra/mean': '4 images'}


def colours(rows, columns, size):
    return [
        [torch.full((3, size, size), 20.0 * row + 50.0 * column) for column in range(columns)]
        for row in range(rows)
    ]


def cell(path, row, column, rows, columns, side):
    """Crop a cell: cells are square, evenly spaced, against the bottom."""
    image = Image.open(path)
    gap = (image.width - columns * side) // (columns + 1)
    left = gap + column * (side + gap)
    top = image.height - (rows - row) * (side + gap)
    return image.crop((left, top, left + side, top + side))


@pytest.mark.parametrize('size, side', [(64, 192), (100, 200), (256, 256)])
def test_cells_hold_the_pictures(tmp_path, size, side):
    path, rows = tmp_path / 'new' / 'comparison.png', colours(2, 4, size)
    save_comparison(path, rows, ['input', 'wide', 'student', 'target'])
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            value = int(picture[0, 0, 0])
            found = cell(path, i, j, 2, 4, side)
            assert found.getextrema() == ((value, value),) * 3
    assert [p.name for p in path.parent.iterdir()] == ['comparison.png']


def test_large_pictures_are_kept_pixel_for_pixel(tmp_path):
    picture = torch.rand(3, 256, 256) * 255
    save_comparison(tmp_path / 'c.png', [[picture]], ['input'])
    found = cell(tmp_path / 'c.png', 0, 0, 1, 1, 256)
    assert torch.equal(
        torch.frombuffer(bytearray(found.tobytes()), dtype=torch.uint8),
        picture.round().to(torch.uint8).permute(1, 2, 0).flatten(),
    )


def test_pictures_get_the_shape_of_their_originals(tmp_path):
    save_comparison(
        tmp_path / 'c.png', colours(2, 2, 64), ['a', 'b'], shapes=[(400, 200), (100, 200)]
    )
    image = Image.open(tmp_path / 'c.png')
    paper, top = image.getpixel((0, 0)), image.height - 192 - 96 - 16
    boxes = [(8, top, 200, top + 96), (8 + 48, top + 104, 8 + 144, top + 104 + 192)]
    for row, box in enumerate(boxes):
        value = 20 * row
        assert image.crop(box).getextrema() == ((value, value),) * 3
    assert image.getpixel((8 + 47, top + 150)) == paper


def test_caption_has_cost_and_the_figure_that_was_asked_for(report):
    student = report.rows[1]
    assert student.caption('zebra/KID', 'zebra') == '76.8 k MACs\nKID 0.018 ± 0.003'
    assert student.caption(None, 'zebra').endswith('FID 51.92')
    assert '\n' not in student.caption('zebra/KID', 'horse')


def test_titles_are_drawn_above_their_column(tmp_path):
    rows = colours(1, 2, 64)
    for name, titles in (('with', ['', 'student']), ('without', ['', ''])):
        save_comparison(tmp_path / f'{name}.png', rows, titles)
    drawn, plain = (Image.open(tmp_path / f'{n}.png') for n in ('with', 'without'))
    top = drawn.height - 192 - 8
    left = drawn.crop((0, 0, drawn.width // 2, top))
    right = drawn.crop((drawn.width // 2, 0, drawn.width, top))
    assert plain.size == drawn.size
    assert all(low == high for low, high in left.getextrema())
    assert right.getextrema()[0][0] < 100
