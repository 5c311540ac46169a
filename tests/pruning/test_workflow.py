"""A student in, a smaller student out: the command and what it writes."""

import json

import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mmgan_compress import load_student, save_student, translate
from mmgan_compress.core.channels import channel_map
from mmgan_compress.core.complexity import count_macs, count_params
from mmgan_compress.models.student import read_student, student_info
from mmgan_compress.pruning.layer_table import REST, Times, comparison, measure
from mmgan_compress.registry import MODELS, PRUNERS
from students import make_model, make_student, refused_by_tool, run_tool

BOTH = ('horse', 'zebra')


def run_here(monkeypatch, *args):
    """Run the command in this process."""
    done = run_tool('prune', *args)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope='module')
def students(tmp_path_factory):
    """Return a folder of wide students and what was made of one of them."""
    folder = tmp_path_factory.mktemp('students')
    make_student(folder / 'both.pth', 'separable', reachable=BOTH, base_channels=12)
    done = run_tool(
        'compress',
        folder / 'both.pth',
        '--pruner',
        'NormWidths',
        '--budget',
        'zebra.macs_paper=3e7',
        'horse.params=0.5',
        '--size',
        64,
        '--options',
        'rule=union',
        '--out',
        folder / 'small',
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert 'WARNING' not in done.stderr
    (folder / 'printed').write_text(done.stdout)
    return folder


def test_each_domain_meets_its_budget(students):
    path = students / 'small' / 'student.pth'
    nets = {domain: load_student(path, domain) for domain in BOTH}
    assert count_macs(nets['zebra'], (1, 3, 64, 64)).macs_paper == pytest.approx(3e7, rel=0.02)
    wide = load_student(students / 'both.pth', 'horse')
    assert count_params(nets['horse']) == pytest.approx(0.5 * count_params(wide), rel=0.02)
    info = student_info(path)
    assert info['reachable'] == ['horse', 'zebra']
    assert info['domains'] == ['horse', 'zebra']
    assert info['default_domain'] == 'zebra' and info['image_size'] == 64
    assert info['source'] == 'Test + NormWidths'
    assert info['resources']['params'] == count_params(nets['zebra'])
    assert set(info['generators']) == set(BOTH)
    assert info['generator'] == info['generators']['zebra']
    assert info['generators']['horse'] != info['generator']


def test_what_is_written(students):
    table = (students / 'small' / 'compress.md').read_text()
    printed = (students / 'printed').read_text()
    shown, _, rest = printed.partition('each layer: ')
    assert rest.startswith(f'{students}/small/compress.md\n')
    assert set(shown.splitlines()) < set(table.splitlines())
    assert '| total |' in shown and 'model.4' not in shown
    assert printed.endswith(f'{students}/small/student.pth\n')
    zebra = table[table.index('## zebra: NormWidths, image 64x64') :]
    wide, small = (
        load_student(students / name, 'zebra') for name in ('both.pth', 'small/student.pth')
    )
    facts = json.loads((students / 'small' / 'compress.json').read_text())
    times = Times(**facts['domains']['zebra']['times'])
    assert comparison(wide, small, 64, times) in zebra
    row = next(line for line in zebra.splitlines() if '| model.4 |' in line)
    ins, outs = channel_map(small)['model.4']
    assert row.startswith(f'| model.4 | 12, 24 | {ins}, {outs} |')
    assert facts['pruner'] == 'NormWidths'
    horse = facts['domains']['horse']
    assert (
        horse['config'] == student_info(students / 'small' / 'student.pth')['generators']['horse']
    )
    assert horse['cost'] == count_params(load_student(students / 'small' / 'student.pth', 'horse'))
    assert [horse['threshold'], horse['cost']] in horse['history']


def test_one_domain_of_two(students, tmp_path, monkeypatch):
    """The other keeps structure and weights; the same seed, the same file."""
    for name in 'ab':
        run_here(
            monkeypatch,
            students / 'both.pth',
            '--pruner',
            'GCCWidths',
            '--budget',
            'macs=0.6',
            '--domain',
            'horse',
            '--tolerance',
            0.05,
            '--out',
            tmp_path / name,
        )
    first, second = ((tmp_path / name / 'student.pth').read_bytes() for name in 'ab')
    assert first == second
    before, after = (
        load_student(path, 'zebra').state_dict()
        for path in (students / 'both.pth', tmp_path / 'a' / 'student.pth')
    )
    for key, value in before.items():
        assert torch.equal(value, after[key])
    small = load_student(tmp_path / 'a' / 'student.pth', 'horse')
    assert (
        count_macs(small, (1, 3, 64, 64)).macs
        < count_macs(load_student(students / 'both.pth'), (1, 3, 64, 64)).macs
    )


def test_unet_of_a_config(tmp_path, monkeypatch):
    """Weights by init_cfg; the narrow U-Net translates images."""
    model = make_student(tmp_path / 'wide.pth', 'unet', base_channels=12)
    config = dict(
        model._gen_cfg,
        init_cfg=dict(
            type='Pretrained', checkpoint=str(tmp_path / 'wide.pth'), prefix='generators.zebra'
        ),
    )
    (tmp_path / 'recipe.py').write_text(
        f"model = dict(generator={config!r}, default_domain='zebra',\n"
        "    reachable_domains=['zebra'], related_domains=['horse', 'zebra'])"
        '\ntrain_dataloader = dict(dataset=dict(size=64))\n'
    )
    source = read_student(str(tmp_path / 'recipe.py'))
    assert source.image_size == 64
    for key, value in model.generators['zebra'].state_dict().items():
        assert torch.equal(source.generators['zebra'].state_dict()[key], value)
    run_here(
        monkeypatch,
        tmp_path / 'recipe.py',
        '--pruner',
        'GCCWidths',
        '--budget',
        'macs=0.7',
        '--out',
        tmp_path / 'out',
    )
    path = tmp_path / 'out' / 'student.pth'
    assert 'init_cfg' not in student_info(path)['generator']['arch']
    (picture,) = translate(path, Image.new('RGB', (70, 50), 'red'))
    assert picture.size == (70, 50)


def test_layers_that_only_one_side_has():
    """A U-Net that lost a level."""
    wide, small = (make_model('unet', num_down=n).generators['zebra'] for n in (6, 5))
    times = measure(wide, small, 64)
    *lines, _, note = comparison(wide, small, 64, times).splitlines()
    assert len({line.count('|') for line in lines}) == 1
    cells = {line.split(' | ')[0][2:]: line.split(' | ')[1:] for line in lines[2:]}
    before = 'model' + '.model.1' * 4
    assert cells[f'{before}.model.1.model.0.conv'][1::2] == ['-'] * 4 + ['- |']
    for at, (layers, total) in enumerate(zip(times.layers, times.totals)):
        # each layer ran, and its time is part of the whole
        assert set(layers) == {n for n in channel_map((wide, small)[at]) if n in layers} != set()
        assert all(0 < ms < total for ms in layers.values())
        assert float(cells[REST][8 + at].strip(' |')) < total
    assert note.startswith(f'ms: medians of {times.rounds} passes')
    assert wide.training and small.training
    assert not any(net._forward_hooks for net in wide.modules())
    assert cells[f'{before}.model.1.conv'][0] == '-'


def test_pruners_of_other_projects_are_used(students, tmp_path, monkeypatch):
    """Any registered class with ``compress`` will do."""
    from mmgan_compress.pruning.base import Compressed

    class Keep:
        def __init__(self, budget, factor):
            self.factor = factor

        def compress(self, generator, config):
            generator.model[1].weight.data *= self.factor
            return Compressed(generator, config, {})

    monkeypatch.setitem(PRUNERS._module_dict, 'Keep', Keep)
    run_here(
        monkeypatch,
        students / 'both.pth',
        '--pruner',
        'Keep',
        '--budget',
        'macs=1',
        '--options',
        'factor=2',
        '--out',
        tmp_path,
    )
    for domain in BOTH:
        before, after = (
            load_student(path, domain).model[1].weight
            for path in (students / 'both.pth', tmp_path / 'student.pth')
        )
        assert torch.equal(after, 2 * before)
    assert 'generators' not in student_info(tmp_path / 'student.pth')


def test_pruner_without_budget(tmp_path, monkeypatch):
    """What goes is in the network; the other domain stays."""
    model = make_model('resnet', reachable=BOTH, norm_cfg=dict(type='IN', affine=True))
    for net in model.generators.values():
        net.model[1].norm.weight.data[1] = 0.0
    save_student(tmp_path / 'wide.pth', model, source='Test', image_size=64)
    run_here(
        monkeypatch,
        tmp_path / 'wide.pth',
        '--pruner',
        'SlimExtraction',
        '--domain',
        'horse',
        '--out',
        tmp_path / 'o',
    )
    widths = [
        channel_map(load_student(tmp_path / 'o/student.pth', domain))['model.1.conv']
        for domain in BOTH
    ]
    assert widths == [[4, 7], [4, 8]]


class Quantized(torch.nn.Module):
    """A network that is prepared for quantization."""

    def __init__(self, quantized=True, init_cfg=None):
        super().__init__()
        kind = torch.ao.quantization.QuantStub if quantized else torch.nn.Identity
        self.stub = kind()
        self.first = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.up = torch.nn.ConvTranspose2d(8, 6, 1)
        self.last = torch.nn.Conv2d(9, 3, 1)

    def forward(self, x):
        y = self.up(self.first(self.stub(x)).relu())
        return self.last(torch.cat([x, y], 1)).tanh()

    def init_weights(self):
        pass


@pytest.mark.parametrize('quantized', [True, False])
def test_networks_of_other_projects(quantized, tmp_path, monkeypatch):
    """Any that is registered; those in quantization are refused."""
    pytest.importorskip('torch_pruning')
    monkeypatch.setitem(MODELS._module_dict, 'Quantized', Quantized)
    with MODELS.switch_scope_and_registry('mmgan_compress') as registry:
        model = registry.build(
            dict(
                type='DistillationModel',
                default_domain='zebra',
                generator=dict(type='Quantized', quantized=quantized),
                reachable_domains=['zebra'],
                related_domains=list(BOTH),
            )
        )
    save_student(tmp_path / 'net.pth', model, source='Test', image_size=32)
    args = (
        tmp_path / 'net.pth',
        '--pruner',
        'TorchPruner',
        '--budget',
        'macs=0.6',
        '--tolerance',
        0.1,
        '--out',
        tmp_path / 'o',
    )
    if quantized:
        assert "'stub' of Quantized is a QuantStub" in refused_by_tool(
            'compress', *args, monkeypatch=monkeypatch
        )
        assert not (tmp_path / 'o').exists()
        return
    run_here(monkeypatch, *args)
    small = load_student(tmp_path / 'o' / 'student.pth')
    assert small.last.in_channels < 9 and small.last.out_channels == 3
    recipe = Config.fromfile(tmp_path / 'o' / 'finetune.py')
    losses = recipe.model.distiller.losses  # no layers are known
    assert losses and not any('layers' in loss for loss in losses)


def test_a_pruned_student_is_pruned_again(students, tmp_path, monkeypatch):
    """One SlimNetwork; what is left of the first is a part of it."""
    pytest.importorskip('torch_pruning')
    source, options = students / 'both.pth', ('--pruner', 'TorchPruner', '--domain', 'zebra')
    for share, name in [(0.6, 'a'), (0.5, 'b')]:
        run_here(
            monkeypatch, source, *options, '--budget', f'macs={share}', '--out', tmp_path / name
        )
        source = tmp_path / name / 'student.pth'
    infos = [student_info(tmp_path / name / 'student.pth') for name in 'ab']
    first, second = (info['generator'] for info in infos)
    assert first['arch'] == second['arch']
    assert second['arch']['type'].endswith('SeparableResnetGenerator')
    assert infos[1]['source'] == 'Test + TorchPruner + TorchPruner'
    nets = [
        load_student(path, 'zebra')
        for path in (students / 'both.pth', *(tmp_path / name / 'student.pth' for name in 'ab'))
    ]
    macs = [count_macs(net, (1, 3, 64, 64)).macs for net in nets]
    assert macs[2] == pytest.approx(0.3 * macs[0], rel=0.05)
    groups = [{tuple(row.tolist()) for row in net.model[1].weight.flatten(1)} for net in nets]
    assert groups[2] < groups[1] < groups[0]  # filters are kept as they are
