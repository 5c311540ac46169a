"""The recipes of configs/, and how their tests build one."""

import copy
import functools
import re
from pathlib import Path

import torch
from mmengine import Config, DefaultScope
from mmengine.optim import build_optim_wrapper

from mmgan_compress.registry import MODELS

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / 'configs'
# what Runner can train for a user: not pipelines, nor the demo's teachers,
# nor mmdeploy's configs
RECIPES = {
    path.stem: path
    for path in sorted(CONFIGS.rglob('*.py'))
    if not {'_base_', 'demo', 'deploy', 'pipelines'} & set(path.relative_to(CONFIGS).parts)
    and not path.stem.endswith('-pipeline')
}
# images to images of their size; the others enlarge them, or take label maps, noise or
# styles
OTHERS = {'srgan', 'gaugan', 'sagan', 'munit'}
TRANSLATIONS = [name for name in RECIPES if not OTHERS & set(re.split('[_-]', name))]
MOBILE_TAPS = ['model.9', 'model.12', 'model.15', 'model.18']
UNET_TAPS = [
    'model.model.1.model.1.model.0.activate',
    'model.model.1.model.1.model.1.model.1.model.0.activate',
    'model.model.1.model.1.model.1.model.2.activate',
    'model.model.1.model.2.activate',
]
MOBILE, UNET = 'mmgan_compress.SeparableResnetGenerator', 'UnetGenerator'


def folder_of(name):
    """Return the folder whose README and metafile list a recipe."""
    path = RECIPES[name].relative_to(CONFIGS)
    return path.parts[0] if len(path.parts) > 1 else name.rsplit('_', 1)[0]


def recipes_of(folder):
    return [name for name in RECIPES if folder_of(name) == folder]


@functools.cache
def parsed(path):
    """Parse a config of this repository once; who changes it takes a copy."""
    return Config.fromfile(path)


def load(name):
    """Load a recipe; the perceptual network needs no weights then."""
    cfg = copy.deepcopy(parsed(RECIPES[name]))
    cfg.model.distiller.perceptual = dict(type='mmgan_compress.VGG16Features', weights='random')
    return cfg


def build_model(cfg, device='meta'):
    """Build the model as Runner does, on 'meta' in a fraction of a second."""
    with DefaultScope.overwrite_default_scope('mmagic'), torch.device(device):
        return MODELS.build(copy.deepcopy(cfg.model))


@functools.cache
def model_of(name):
    """Return the model of a recipe as it is; built once, for reading."""
    return build_model(load(name))


def build_optimizers(cfg, model):
    with DefaultScope.overwrite_default_scope('mmagic'):
        return build_optim_wrapper(model, copy.deepcopy(cfg.optim_wrapper))


def check_optimizers(cfg, model):
    """Everything that can learn is in exactly one optimizer."""
    wrappers = build_optimizers(cfg, model)
    held = [
        id(p)
        for wrapper in wrappers.values()
        for group in wrapper.param_groups
        for p in group['params']
    ]
    free = [id(p) for p in model.parameters() if p.requires_grad]
    assert sorted(held) == sorted(free)
    if model.distiller.offline:
        assert not {'teachers', 'discriminators'} & set(wrappers.keys())
        assert not any(
            p.requires_grad
            for network in model.distiller.teacher_side()
            for p in network.parameters()
        )
