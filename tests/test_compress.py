"""A student in, a smaller student out: the command and what it writes."""
import json
import runpy

import pytest
import torch
from PIL import Image
from students import (REPO, make_host, make_student, refused_by_tool,
                      run_python, run_tool)

from mmgan_compress import load_student, translate
from mmgan_compress.compressors.students import (comparison, read_budgets,
                                                 read_options, read_source)
from mmgan_compress.core.channels import channel_map
from mmgan_compress.core.resources import count_macs, count_params
from mmgan_compress.registry import PRUNERS
from mmgan_compress.student import student_info

BOTH = ('horse', 'zebra')


def run_here(monkeypatch, *args):
    """Run the command in this process."""
    monkeypatch.setattr('sys.argv', ['compress', *map(str, args)])
    runpy.run_path(str(REPO / 'tools' / 'compress.py'), run_name='__main__')


@pytest.fixture(scope='module')
def students(tmp_path_factory):
    """Return a folder of wide students and what was made of one of them."""
    folder = tmp_path_factory.mktemp('students')
    make_student(folder / 'both.pth', 'separable', reachable=BOTH,
                 base_channels=12)
    done = run_tool(
        'compress', folder / 'both.pth', '--pruner', 'NormWidths',
        '--budget', 'zebra.macs_paper=3e7', 'horse.params=0.5', '--size', 64,
        '--options', 'rule=union', '--out', folder / 'small')
    assert done.returncode == 0, done.stderr[-3000:]
    assert 'WARNING' not in done.stderr
    (folder / 'printed').write_text(done.stdout)
    return folder


def test_each_domain_meets_its_budget(students):
    path = students / 'small' / 'student.pth'
    nets = {domain: load_student(path, domain) for domain in BOTH}
    assert count_macs(nets['zebra'], (1, 3, 64, 64)).macs_paper == \
        pytest.approx(3e7, rel=0.02)
    wide = load_student(students / 'both.pth', 'horse')
    assert count_params(nets['horse']) == pytest.approx(
        0.5 * count_params(wide), rel=0.02)
    info = student_info(path)
    assert info['reachable'] == ['horse', 'zebra']
    assert info['domains'] == ['horse', 'zebra']
    assert info['default_domain'] == 'zebra' and info['image_size'] == 64
    assert info['source'] == 'Test + NormWidths'
    assert info['resources']['params'] == count_params(nets['zebra'])
    assert set(info['generators']) == set(BOTH)
    assert info['generator'] == info['generators']['zebra']
    assert info['generators']['horse'] != info['generator']


def test_result_runs_in_a_process_of_its_own(students, tmp_path):
    """Equal outputs, rebuilt from the file alone."""
    path = students / 'small' / 'student.pth'
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    torch.save(x, tmp_path / 'x.pt')
    run_python('''
import torch, mmgan_compress
for domain in ('horse', 'zebra'):
    net = mmgan_compress.load_student(sys.argv[1], domain)
    with torch.no_grad():
        torch.save(net(torch.load('x.pt')), f'{domain}.pt')
''', path, cwd=tmp_path)
    for domain in BOTH:
        with torch.no_grad():
            want = load_student(path, domain)(x)
        assert torch.equal(torch.load(tmp_path / f'{domain}.pt'), want)


def test_what_is_written(students):
    table = (students / 'small' / 'compress.md').read_text()
    printed = (students / 'printed').read_text()
    assert printed.startswith(table)
    assert printed.endswith(f'{students}/small/student.pth\n')
    zebra = table[table.index('## zebra: NormWidths, image 64x64'):]
    wide, small = (
        load_student(students / name, 'zebra')
        for name in ('both.pth', 'small/student.pth'))
    assert comparison(wide, small, 64) in zebra
    row = next(line for line in zebra.splitlines() if '| model.4 |' in line)
    ins, outs = channel_map(small)['model.4']
    assert row.startswith(f'| model.4 | 12, 24 | {ins}, {outs} |')
    facts = json.loads((students / 'small' / 'compress.json').read_text())
    assert facts['pruner'] == 'NormWidths'
    horse = facts['domains']['horse']
    assert horse['config'] == student_info(
        students / 'small' / 'student.pth')['generators']['horse']
    assert horse['cost'] == count_params(
        load_student(students / 'small' / 'student.pth', 'horse'))
    assert [horse['threshold'], horse['cost']] in horse['history']


def test_one_domain_of_two(students, tmp_path, monkeypatch):
    """The other keeps structure and weights; the same seed, the same file."""
    for name in 'ab':
        run_here(monkeypatch, students / 'both.pth', '--pruner', 'GCCWidths',
                 '--budget', 'macs=0.6', '--domain', 'horse', '--tolerance',
                 0.05, '--out', tmp_path / name)
    first, second = ((tmp_path / name / 'student.pth').read_bytes()
                     for name in 'ab')
    assert first == second
    before, after = (load_student(path, 'zebra').state_dict() for path in (
        students / 'both.pth', tmp_path / 'a' / 'student.pth'))
    for key, value in before.items():
        assert torch.equal(value, after[key])
    small = load_student(tmp_path / 'a' / 'student.pth', 'horse')
    assert count_macs(small, (1, 3, 64, 64)).macs < count_macs(
        load_student(students / 'both.pth'), (1, 3, 64, 64)).macs


def test_unet_of_a_config(tmp_path, monkeypatch):
    """Weights by init_cfg; the narrow U-Net translates images."""
    host = make_student(tmp_path / 'wide.pth', 'unet', base_channels=12)
    config = dict(host._gen_cfg, init_cfg=dict(
        type='Pretrained', checkpoint=str(tmp_path / 'wide.pth'),
        prefix='generators.zebra'))
    (tmp_path / 'recipe.py').write_text(
        "model = dict(generator=%r, default_domain='zebra',\n"
        "    reachable_domains=['zebra'], related_domains=['horse', 'zebra'])"
        '\ntrain_dataloader = dict(dataset=dict(size=64))\n' % config)
    source = read_source(str(tmp_path / 'recipe.py'))
    assert source.image_size == 64
    for key, value in host.generators['zebra'].state_dict().items():
        assert torch.equal(source.networks['zebra'].state_dict()[key], value)
    run_here(monkeypatch, tmp_path / 'recipe.py', '--pruner', 'GCCWidths',
             '--budget', 'macs=0.7', '--out', tmp_path / 'out')
    path = tmp_path / 'out' / 'student.pth'
    assert 'init_cfg' not in student_info(path)['generator']['arch']
    picture, = translate(path, Image.new('RGB', (70, 50), 'red'))
    assert picture.size == (70, 50)


def refused(students, *args, monkeypatch, budget='macs=0.5'):
    return refused_by_tool(
        'compress', students / 'both.pth', '--budget', budget, *args,
        monkeypatch=monkeypatch)


def test_refusals(students, tmp_path, monkeypatch):
    out = ('--out', tmp_path / 'out')
    norm = ('--pruner', 'NormWidths', *out)
    for args, budget, message in [
        (('--pruner', 'NormWidths', '--out', students / 'small'), 'macs=0.5',
         'small/student.pth exists: name another folder'),
        (('--pruner', 'Norms', *out), 'macs=0.5',
         "no pruner 'Norms'; registered are ['GCCWidths', 'NormWidths', "),
        (('--pruner', 'ScaleWidths', *out), 'macs=0.5',
         'expected a UnetGenerator'),
        (norm, 'macs=0.0001', 'the nearest reachable is macs='),
        (norm, 'macs', 'expected KIND=NUMBER or DOMAIN.KIND=NUMBER'),
        (norm, 'cat.macs=1', "is for 'cat', expected one of ['horse', 'ze"),
        ((*norm, '--domain', 'cat'), 'macs=1', "is for 'cat'"),
        (norm, 'flops=1', "no budget 'flops'"),
        ((*norm, '--options', 'rule'), 'macs=1', 'expected KEY=VALUE'),
        ((*norm, '--options', 'rule=max'), 'macs=1', 'expected one of mean'),
        ((*norm, '--options', 'colour=1'), 'macs=1', "'colour'")
    ]:
        assert message in refused(students, *args, budget=budget,
                                  monkeypatch=monkeypatch), message
    assert not (tmp_path / 'out').exists()
    for name, message in [('none.pth', 'no student file at'),
                          ('none.py', 'no config')]:
        with pytest.raises(FileNotFoundError, match=message):
            read_source(str(tmp_path / name))
    (tmp_path / 'a.py').write_text('model = dict(generator=dict())')
    with pytest.raises(ValueError, match="no .'default_domain', 'reachable_d"):
        read_source(str(tmp_path / 'a.py'))


def test_budgets_and_options():
    assert read_budgets(['macs=0.25'], BOTH, size=64) == {
        domain: dict(macs=0.25, size=64) for domain in BOTH}
    assert read_budgets(['zebra.params=2e6'], BOTH) == dict(
        zebra=dict(params=2e6))
    for texts in (['macs=1', 'params=1'], ['macs=1', 'zebra.macs=2']):
        with pytest.raises(ValueError, match='is a second budget for'):
            read_budgets(texts, BOTH)
    assert read_options(['rule=union', 'floor=2', 'at=[1, 2]', 'x=']) == dict(
        rule='union', floor=2, at=[1, 2], x='')


def test_layers_that_only_one_side_has():
    """A U-Net that lost a level."""
    wide, small = (make_host('unet', num_down=n).generators['zebra']
                   for n in (6, 5))
    lines = comparison(wide, small, 64).splitlines()
    assert len({line.count('|') for line in lines}) == 1
    cells = {line.split(' | ')[0][2:]: line.split(' | ')[1:]
             for line in lines[2:]}
    before = 'model' + '.model.1' * 4
    assert cells[f'{before}.model.1.model.0.conv'][1::2] == ['-'] * 3 + [
        '- |']
    assert cells[f'{before}.model.1.conv'][0] == '-'


def test_pruners_of_other_projects_are_used(students, tmp_path, monkeypatch):
    """Any registered class with ``compress`` will do."""
    from mmgan_compress.compressors.base import Compressed

    class Keep:

        def __init__(self, budget, factor):
            self.factor = factor

        def compress(self, generator, config):
            generator.model[1].weight.data *= self.factor
            return Compressed(generator, config, {})

    monkeypatch.setitem(PRUNERS._module_dict, 'Keep', Keep)
    run_here(monkeypatch, students / 'both.pth', '--pruner', 'Keep',
             '--budget', 'macs=1', '--options', 'factor=2', '--out', tmp_path)
    for domain in BOTH:
        before, after = (load_student(path, domain).model[1].weight
                         for path in (students / 'both.pth',
                                      tmp_path / 'student.pth'))
        assert torch.equal(after, 2 * before)
    assert 'generators' not in student_info(tmp_path / 'student.pth')
