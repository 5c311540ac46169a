"""Faults of a config: all of them, with their place, before anything runs."""

import copy
import itertools
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from mmengine.config import Config

from mmgan_compress.core.configs import check_file, read_options
from mmgan_compress.engine import runner_builder
from mmgan_compress.engine.channels import fit_channels
from mmgan_compress.engine.check_config import (
    OF_RUNNER,
    TRAINS,
    check_inputs,
    missing_parts,
    network_faults,
)
from mmgan_compress.engine.quick import by_part, make_quick, set_size
from students import message_of_error
from test_runner_builder import arguments
from toy import REPO, recipe_of, toy_config

MAIN = sorted(path.name for path in REPO.glob('configs/*.py'))


@pytest.fixture(scope='module')
def folder(tmp_path_factory, vgg_file):
    """A small recipe, recipe.py, and its data."""
    folder = tmp_path_factory.mktemp('checks')
    toy_config('cyclegan', folder / 'data', vgg_file).dump(folder / 'recipe.py')
    return folder


@pytest.fixture
def faults(folder, tmp_path, monkeypatch):
    """A function that returns the lines that train ends with."""
    monkeypatch.chdir(tmp_path)

    def faults(*options, config=folder / 'recipe.py', **changes):
        message = message_of_error(
            runner_builder.make_runner,
            arguments(config, cfg_options=list(options) or None, **changes),
            ExitStack(),
        )
        assert not os.listdir(tmp_path)  # nothing is written
        return message.split('\n')

    return faults


def test_all_faults_come_together(faults):
    """Of thirteen kinds, in one go."""
    lines = faults(
        'train_dataloader.batch_size=0',
        'optim_wrapper.student.optimizer.lr=nan',
        'optim_wrapper.teachers.optimizer.type=Adm',
        'model.default_domain=cow',
        'model.generator.base_channels=-3',
        'model.distiller.schedule.block=0',
        'custom_hooks.0.type=mmgan_compress.TeacherSelectionHok',
        'val_dataloader.num_workers=-1',
        'image_size=64',
        'default_hooks.logger.intervall=2',
        'default_hooks.student.since=9',
        'default_hooks.student.metric=zebra/FID',
        'custom_hooks.0.metrics.zebra=[cow/SSIM]',
    )
    assert len(lines) == 13
    for words in (
        'train_dataloader.batch_size: got 0, expected a whole number of at least 1',
        'optim_wrapper.student.optimizer.lr: got nan, expected a finite number of at least 0',
        "optim_wrapper.teachers.optimizer.type: no optimizer is called 'Adm'; did you mean 'Adam",
        "model.default_domain: got 'cow', expected one of ['zebra']",
        'model.generator.base_channels: got -3, expected a whole number',
        'model.distiller.schedule.block: got 0, expected a whole number of at least 1',
        'custom_hooks.0.type: no hook is called '
        "'mmgan_compress.TeacherSelectionHok'; did you mean "
        "'mmgan_compress.TeacherSelectionHook'",
        'val_dataloader.num_workers: got -1, expected a whole number of at least 0',
        '--cfg-options image_size: ',
        'default_hooks.logger.intervall: LoggerHook takes no such '
        "argument; did you mean 'interval'",
        'default_hooks.student.since: got 9, expected at most 4, the last epoch',
        "default_hooks.student.metric: got 'zebra/FID', expected one of ['zebra/PSNR', ",
        "custom_hooks.0.metrics.zebra: got 'cow/SSIM', expected one of [",
    ):
        assert any(line.startswith(words) for line in lines), words


@pytest.mark.parametrize(
    'option,words',
    [
        ('optim_wrapper.student.optimizer.lr=abc', "got 'abc', expected a finit"),
        ('optim_wrapper.student.optimizer.lr=-1e-4', 'got -0.0001, expected a'),
        ('optim_wrapper.constructor=Multi', 'no optimizer wrapper constructor is'),
        ('train_dataloader.batch_size=2.5', 'got 2.5, expected a whole number'),
        ('train_dataloader.batchsize=2', "no such argument; did you mean 'batch"),
        (
            'train_dataloader.dataset.type=mmgan_compress.UnpairedImage',
            "did you mean 'mmgan_compress.UnpairedImages'",
        ),
        ('train_dataloader.dataset.flip=maybe', "got 'maybe', expected True or"),
        ('train_dataloader.dataset.domains=[a,b]', "expected ['horse', 'zebra']"),
        ('model.distiller.type=mmgan_compress.OMGDCycleGANs', 'no distiller is called'),
        ('train_cfg.max_iters=10', 'model.distiller.schedule sets the length'),
        ('model.distiller.schedule.epochs=0', 'got 0, expected a whole number'),
        ('model.distiller.schedule.epoch=3', 'no such argument; did you mean'),
        ('model.distiller.schedule.student_epochs=-1', 'got -1, expected a whol'),
        ('model.reachable_domains=[cow]', "expected one or both of ['horse', '"),
        ('model.related_domains=[cow]', 'expected two domains'),
        ('model.generator.base_channel=3', "did you mean 'base_channels'"),
        ('model.generator.norm_cfg.type=XN', 'no model is called'),
        ('custom_hooks.0.metrics.cow=1', "has no 'cow', only zebra"),
        ('custom_hooks.7.type=x', 'custom_hooks has 1 entries'),
        ('val_evaluator.metrics.0.domain=cow', "got 'cow', expected one of ["),
        ('train_datalaoder.batch_size=2', "did you mean 'train_dataloader'"),
        ('data_root=x', 'use --data-root'),
        ('default_hooks.loger.interval=1', "did you mean 'logger'"),
        ('randomness.seed=-1', 'got -1, expected a whole number'),
        ('model=5', 'model: got 5, expected a dict'),
        ('train_dataloader=None', 'train_dataloader: missing'),
        ('batch', 'expected KEY=VALUE'),
        ('a.b=(1', '--cfg-options'),
        ('a.b=dict(c=1, d=2)', 'the entries of a dict one by one'),
    ],
)
def test_one_fault_is_one_line(faults, option, words):
    lines = faults(option)
    assert words in lines[0] and len(lines) <= 2


def test_image_size_names_its_option(faults):
    assert faults('image_size=64') == [
        '--cfg-options image_size: a variable of the recipe, whose value is '
        'used already: use --size'
    ]


@pytest.mark.parametrize(
    'text,words',
    [
        ('', 'is empty'),
        ('{"model": {}}', 'model: missing'),
        ('model = dict(', "line 1: this is no Python: '(' was never closed"),
        ("_base_ = 'cyclegn.py'\n", "its _base_ 'cyclegn.py' does not exist"),
        ('x = 1\n', 'model: missing; a config needs it'),
        ('model = dict(type=None)\n1 / 0\n', 'ZeroDivisionError'),
    ],
)
def test_what_is_no_config(faults, text, words, folder):
    file = folder / 'broken.py'
    file.write_text(text)
    assert words in '\n'.join(faults(config=file))


def test_files_are_checked_without_torch(tmp_path):
    (tmp_path / 'a.json').write_text('{}')
    (tmp_path / 'b.py').write_bytes(b'\xff\xfe\x00')
    (tmp_path / 'c.py').write_text("_base_ = ['d.py']\nx = 1\n")
    (tmp_path / 'dd.py').write_text('x = 1\n')
    code = f"""
import sys
from mmgan_compress.core.configs import check_file
for name in ('a.json', 'b.py', 'c.py'):
    try:
        check_file({str(tmp_path)!r} + '/' + name)
    except (ValueError, FileNotFoundError) as error:
        print(error)
assert 'torch' not in sys.modules
"""
    text = subprocess.run(
        [sys.executable, '-c', code], cwd=REPO, text=True, check=True, stdout=subprocess.PIPE
    ).stdout
    assert 'a.json is no config: expected a Python file' in text
    assert 'b.py' in text and "did you mean 'dd.py'" in text
    assert text.count('\n') == 3


def test_options_are_read():
    assert read_options(['a.b=1', 'c=[x,2]', 'd=nan', 'e=x=y'])['e'] == 'x=y'


def test_missing_files_are_faults_like_others(faults, tmp_path):
    lines = '\n'.join(
        faults(
            'train_dataloader.dataset.data_root=nowhere',
            'model.distiller.teacher_checkpoints=[none.pth]',
            'val_dataloader.batch_size=0',
        )
    )
    for words in (
        'no images in',
        'nowhere',
        '--data-root',
        "no weights 'none.pth'",
        'val_dataloader.batch_size',
    ):
        assert words in lines


def test_a_folder_that_cannot_be_written(folder, faults):
    (folder / 'file').touch()
    assert 'is a file, expected a folder' in faults(work_dir=str(folder / 'file/run'))[0]


def test_images_that_a_network_cannot_translate(tmp_path, vgg_file):
    """A U-Net with more levels than an image can be halved."""
    cfg = toy_config('pix2pix', tmp_path / 'data', vgg_file)
    assert network_faults(cfg._cfg_dict) == []
    cfg.model.generator.num_down = 6
    cfg.train_dataloader.dataset.size = 16
    student, *teachers = network_faults(cfg._cfg_dict)
    assert student.startswith(
        'model.generator: UnetGenerator cannot translate images of 16 pixels,'
        ' but of 64: set --size 64'
    )
    assert len(teachers) == 2 and 'teachers.wide' in teachers[0]


def test_real_images_of_another_size_are_refused(tmp_path, vgg_file):
    cfg = toy_config('cyclegan', tmp_path / 'data', vgg_file)
    cfg.test_evaluator.metrics = [
        dict(
            type='mmgan_compress.FrechetDistance',
            domain='zebra',
            network='vgg16',
            reference=dict(data_root=str(tmp_path / 'data'), side='B', split='train'),
        )
    ]
    with pytest.raises(
        ValueError, match='reference.size: got 256, expected 32, the size of the images'
    ):
        check_inputs(cfg, [])
    set_size(cfg, 16)
    used = [
        cfg[f'{split}_{part}']
        for split in ('train', 'val', 'test')
        for part in ('dataloader', 'evaluator')
        if f'{split}_{part}' in cfg
    ]
    sizes = {node.size for node in runner_builder.walk(used) if 'data_root' in node}
    assert sizes == {16} and cfg.train_dataloader.dataset.load_size == 18


@pytest.mark.parametrize('name', MAIN)
def test_shipped_recipes_have_no_faults(name):
    """Nor at another size, nor made quick; what changes is told."""
    cfg = Config.fromfile(REPO / 'configs' / name)
    check_static(cfg)
    size = cfg.train_dataloader.dataset.size
    lines = make_quick(cfg)
    check_static(cfg)
    schedule = cfg.model.distiller.schedule
    steps = schedule.epochs + 2 * schedule.get('student_epochs', 0)
    assert 90 <= steps <= 1200
    assert cfg.train_dataloader.dataset.size == min(size, cfg.get('least_size', 64))
    assert any(line.startswith('model.distiller.schedule.epochs: ') for line in lines)
    assert len(by_part(lines)) <= 10
    assert cfg.default_hooks.checkpoint.interval * 8 < steps  # Ctrl-C is cheap


def cost(cfg):
    schedule = cfg.model.distiller.schedule
    rounds = schedule.epochs // schedule.block * schedule.get('student_epochs', 0)
    steps = (schedule.epochs + rounds) * schedule.iters_per_epoch
    return cfg.train_dataloader.dataset.size, steps


@pytest.mark.parametrize('name', MAIN)
def test_a_quick_demo_is_not_longer_than_the_demo(name):
    cfg = runner_builder.load_config(arguments(str(REPO / 'configs' / name), demo=True))
    size, steps = cost(cfg)
    make_quick(cfg)
    assert cost(cfg)[0] <= size and cost(cfg)[1] <= steps


def check_static(cfg, *others):
    """Check all but the files that a recipe reads."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ('data_faults', 'file_faults', *others):
            patch.setattr(f'mmgan_compress.engine.check_config.{name}', lambda *_: [])
        check_inputs(cfg, needed=TRAINS)


def test_a_quick_run_ends_soon(tmp_path, vgg_file, monkeypatch):
    """By the command's functions, at a size that is the images' own."""
    monkeypatch.chdir(tmp_path)
    toy_config('cyclegan', tmp_path / 'data', vgg_file).dump('recipe.py')
    cfg = runner_builder.load_config(
        arguments(
            'recipe.py', quick=True, size=32, cfg_options=['model.distiller.schedule.epochs=2']
        ),
        TRAINS,
    )
    assert cfg.train_dataloader.dataset.size == 32
    assert cfg.model.distiller.schedule.epochs == 2  # the user's word is last


def test_parts_of_a_file(tmp_path):
    """Bases are followed; what is no file name is left to mmengine."""
    Path(tmp_path, 'base.py').write_text('x = (\n')
    Path(tmp_path, 'top.py').write_text("_base_ = ['base.py']\n")
    with pytest.raises(ValueError, match='base.py, line 1'):
        check_file(str(tmp_path / 'top.py'))
    Path(tmp_path, 'top.py').write_text("_base_ = 'mmagic::a/b.py'\n")
    check_file(str(tmp_path / 'top.py'))
    check_file(str(recipe_of('omgd', 'cyclegan')))


def _keys(node, path=()):
    """Yield where the values of a config are."""
    items = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, value in list(items):
        yield (*path, key)
        yield from _keys(value, (*path, key))


def test_a_value_of_any_kind_is_a_fault_or_none(tmp_path, vgg_file):
    """In place of each value of a recipe: the checks never fail themselves."""
    cfg = toy_config('cyclegan', tmp_path / 'data', vgg_file)
    used = {key: cfg[key] for key in cfg if key in OF_RUNNER}
    refused, values = 0, itertools.cycle(['abc', -1, float('nan'), [1, 2], {}])
    for (*path, last), value in zip(_keys(used), values):
        broken = copy.deepcopy(used)
        node = broken
        for key in path:
            node = node[key]
        node[last] = value
        broken = Config(broken)
        try:
            if not missing_parts(broken._cfg_dict, TRAINS):
                fit_channels(broken)
            check_static(broken, 'network_faults')
        except (ValueError, FileNotFoundError):
            refused += 1
    assert refused > 60
