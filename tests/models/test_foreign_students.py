"""Somebody else's generator, in a module that has to be imported."""

import sys

import pytest
import torch
from mmengine.config import Config

from mmgan_compress import load_student, save_student
from mmgan_compress.models.from_student import resolve_students
from mmgan_compress.registry import MODELS, PRUNERS
from recipes import build_model
from students import refused_by_tool
from test_workflow import run_here
from toy import Trainer, moved, snapshot

pytest.importorskip('torch_pruning')
CODE = """
import torch
from mmgan_compress.registry import MODELS, PRUNERS
from mmgan_compress.pruning.base import Compressed


@MODELS.register_module()
class MyGen(torch.nn.Sequential):

    def __init__(self, inputs=3):
        super().__init__(
            torch.nn.Conv2d(inputs, 8, 3, padding=1), torch.nn.ReLU(),
            torch.nn.Conv2d(8, inputs, 1), torch.nn.Tanh())


@PRUNERS.register_module()
class MyPruner:

    def compress(self, generator, config):
        return Compressed(generator, config, {})
"""


def forget():
    """Leave the module as a new process finds it."""
    sys.modules.pop('mygen', None)
    MODELS._module_dict.pop('MyGen', None)
    PRUNERS._module_dict.pop('MyPruner', None)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the module and a student of its network."""

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'mygen.py').write_text(CODE)
    __import__('mygen')
    save('dense.pth')
    forget()
    yield tmp_path
    forget()


def save(path, **config):
    model = MODELS.build(
        dict(
            type='mmgan_compress.DistillationModel',
            default_domain='zebra',
            generator=dict(config, type='mmgan_compress.MyGen'),
            reachable_domains=['zebra'],
            related_domains=['horse', 'zebra'],
        )
    )
    save_student(path, model, source='Test', image_size=32)


ARGS = ('dense.pth', '--pruner', 'TorchPruner', '--budget', 'macs=0.5', '--out', 'small')


def test_the_module_is_imported_by_name(folder, monkeypatch):
    """By the command and by the recipe that it leaves; weights stay."""
    assert '--import' in refused_by_tool('compress', *ARGS, monkeypatch=monkeypatch)
    run_here(monkeypatch, *ARGS, '--import', 'mygen')
    students = [load_student(path) for path in ('dense.pth', 'small/student.pth')]
    forget()
    cfg = Config.fromfile('small/finetune.py')
    assert cfg.custom_imports.imports == ['mmgan_compress.registry', 'mygen']
    resolve_students(cfg)
    cfg.model.distiller.perceptual = dict(type='mmgan_compress.VGG16Features', weights='random')
    model = build_model(cfg, 'cpu')
    for _ in range(2):  # Runner initialises too
        model.init_weights()
    for network, student in zip(
        (model.distiller.network('teacher', 'zebra'), model.generators['zebra']), students
    ):
        for key, value in student.state_dict().items():
            assert torch.equal(value, network.state_dict()[key])
    save_student('again.pth', model, source='Test', image_size=32)
    assert load_student('again.pth')[0].out_channels < 8


def test_pruners_and_weights_of_new_networks(folder, monkeypatch):
    """A width pruner draws them anew, by the class's own way."""
    run_here(monkeypatch, 'dense.pth', '--import', 'mygen', '--pruner', 'MyPruner', '--out', 'same')
    assert torch.equal(
        load_student('dense.pth')[0].weight, load_student('same/student.pth')[0].weight
    )
    assert "No module named 'mygan'" in refused_by_tool(
        'compress', *ARGS, '--import', 'mygan', monkeypatch=monkeypatch
    )


def test_a_plain_module_learns(folder, recipe):
    """It has neither ``init_weights`` nor an ``init_cfg``."""
    __import__('mygen')
    cfg = recipe('omgd', 'pix2pix', losses=[dict(type='mmgan_compress.SSIMLoss', weight=1.0)])
    cfg.model.generator = dict(type='mmgan_compress.MyGen')
    trainer = Trainer(cfg)
    before = snapshot(trainer.model.generators)
    trainer.step()
    assert moved(trainer.model.generators, before)
    save_student('trained.pth', trainer.model, source='T', image_size=32)
    own = trainer.model.generators['shoes'].state_dict()
    for key, value in load_student('trained.pth').state_dict().items():
        assert torch.equal(value, own[key])
