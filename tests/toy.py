"""Tiny recipes and data for the tests of training."""

import copy
import math
import uuid
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.runner.priority import get_priority
from PIL import Image

from mmgan_compress.engine.runner_builder import set_everywhere, walk
from mmgan_compress.evaluation.metrics import TranslationMetric
from mmgan_compress.models.perceptual import VGG16Features
from mmgan_compress.registry import METRICS, MODELS
from recipes import parsed

REPO = Path(__file__).resolve().parents[1]
SIZE = 32


# and to relu5_3, which LPIPS asks for
_VGG16 = {**VGG16Features.widths, 24: 512, 26: 512, 28: 512}


def seeded_vgg(layers=_VGG16) -> dict:
    """Return the weights of the golden fixtures' VGG (their README).

    Args:
        layers (dict[int, int]): Widths of its convolutions by torchvision's
            ``features.N``.
    """
    state, channels = {}, 3
    for k, (index, width) in enumerate(layers.items()):
        rs = np.random.RandomState(1000 + k)
        weight = rs.standard_normal((width, channels, 3, 3)) * math.sqrt(2 / (9 * channels))
        bias = rs.standard_normal(width) * 0.01
        state[f'features.{index}.weight'] = torch.tensor(weight.astype('float32'))
        state[f'features.{index}.bias'] = torch.tensor(bias.astype('float32'))
        channels = width
    return state


def write_images(root, folders: dict[str, int], paired: bool = False):
    """Write smooth random PNG files, ``{folder: count}``."""
    rng = np.random.default_rng(0)
    for folder, count in folders.items():
        path = Path(root) / folder
        path.mkdir(parents=True)
        for index in range(count):
            seed = rng.integers(0, 255, (4, 8 if paired else 4, 3), np.uint8)
            size = (2 * SIZE if paired else SIZE, SIZE)
            Image.fromarray(seed).resize(size).save(path / f'{index}.png')


def recipe_of(method: str, model: str) -> Path:
    """Return the file of a method's main recipe.

    Args:
        method (str): ``'omgd'``, ``'crd'``, ``'gcc'`` or ``'plain'``.
        model (str): ``'cyclegan'`` or ``'pix2pix'``.
    """
    if method != 'plain':
        return REPO / f'configs/{method}_{model}.py'
    size = '1xb1-200e_horse2zebra' if model == 'cyclegan' else '1xb4-200e_edges2shoes'
    student = 'mobile16' if model == 'cyclegan' else 'unet16'
    return REPO / f'configs/plain/plain_{model}-{student}_{size}.py'


def toy_config(
    model: str, root, vgg: str, work_dir='unused', method: str = 'omgd', recipe: Path | None = None
) -> Config:
    """Return a main recipe with tiny networks, and its data in ``root``.

    Args:
        model (str): ``'cyclegan'``, ``'pix2pix'``, ``'srgan'``, ``'sagan'`` or ``'munit'``.
        root (Path): Where data are written if it does not exist.
        vgg (str): File of VGG-16 weights.
        work_dir (str | Path): Folder of the run.
        method (str): As of :func:`recipe_of`.
        recipe (Path | None): Another one than the method's.
    """
    cfg = copy.deepcopy(parsed(recipe or recipe_of(method, model)))
    paired = model == 'pix2pix'
    if not Path(root).exists():
        sides = ['A', 'B'] if model == 'cyclegan' else ['']
        write_images(
            root,
            {
                f'{split}{side}': count
                for side in sides
                for split, count in (('train', 5), ('val', 2), ('test', 2))
            },
            paired or model == 'munit',
        )
    data = cfg._cfg_dict
    set_everywhere(data, 'data_root', str(root))
    size = dict(srgan=SIZE // 4, sagan=64, munit=64).get(model, SIZE)
    set_everywhere(data, 'size', size)
    set_everywhere(data, 'load_size', size + 4)
    _shrink(cfg, method, model)
    cfg.model.distiller.perceptual = dict(type='mmgan_compress.VGG16Features', weights=vgg)
    cfg.work_dir = str(work_dir)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False, batch_size=2)
    set_everywhere(data, 'crop', SIZE)
    set_everywhere(data, 'samples', 3)
    if model != 'munit':  # whose styles are small
        set_everywhere(data, 'noise_size', 6)
    _score(cfg)
    cfg.default_hooks.student.pop('since', None)  # of the recipe's epochs
    cfg.default_hooks.checkpoint.interval = 1
    cfg.default_hooks.checkpoint.max_keep_ckpts = -1
    cfg.default_hooks.logger.interval = 1
    return cfg


def _shrink(cfg: Config, method: str, model: str):
    """Make the networks of a recipe tiny and its schedule a few steps."""
    distiller, paired = cfg.model.distiller, model == 'pix2pix'
    distiller.schedule = dict(epochs=4, constant=2, block=2, iters_per_epoch=1)
    if method in ('omgd', 'crd') and model == 'cyclegan':
        distiller.schedule.student_epochs = 2
    if method == 'gcc' and model == 'cyclegan':  # published: widths layer by layer
        small = dict(type='mmgan_compress.SeparableResnetGenerator', norm_cfg=dict(type='IN'))
        cfg.model.generator = {
            name: dict(small, base_channels=width)
            for name, width in zip(cfg.model.reachable_domains, (2, 3))
        }
    else:
        set_everywhere(cfg.model.generator, 'base_channels', 4)
    set_everywhere(distiller, 'base_channels', 4)
    if paired:
        set_everywhere(cfg.model, 'norm_cfg', dict(type='IN'))
    for node in walk(cfg.model):
        if str(node.get('type')).endswith('UnetGenerator'):
            node.num_down = 5
        elif str(node.get('type')).endswith(('ResnetGenerator', 'SRResNet')):
            node.num_blocks = 3
        elif str(node.get('type')).endswith('SelfAttentionGenerator'):
            node.base_channels = 8  # attention needs that many
        if 'layers' in node and model in ('cyclegan', 'srgan'):
            node.layers = 'auto' if model == 'srgan' else ['model.9', 'model.12']
    if method == 'crd':  # 32 pixels are one patch of the recipe's
        loss_of(cfg, 'RelationLoss').patch_size = SIZE // 2
        if paired:
            distiller.losses.append(dict(type='mmgan_compress.AdversarialLoss', gan_type='hinge'))


def loss_of(cfg: Config, name: str) -> ConfigDict:
    """Return the config of a loss of a recipe, to be changed in place."""
    (loss,) = [loss for loss in cfg.model.distiller.losses if loss.type.endswith(name)]
    return loss


def leave_out(cfg: Config, name: str):
    """Remove a loss from a recipe."""
    cfg.model.distiller.losses.remove(loss_of(cfg, name))


@METRICS.register_module()
class Brightness(TranslationMetric):
    """Of images that have no truth."""

    @property
    def names(self):
        return [f'{self.domain}/Brightness']

    def measure(self, fake, sample):
        return fake.mean()[None]

    def summarise(self, measured):
        return dict(Brightness=float(measured.mean())), dict(Brightness=self._how)


def _score(cfg: Config):
    """Score without a feature network."""
    domain, figure = cfg.model.default_domain, 'SSIM'
    metric = dict(type='mmgan_compress.PairedQuality', domain=domain, lpips=False)
    if cfg.val_dataloader.dataset.get('noise_size'):
        metric, figure = dict(type='mmgan_compress.Brightness', domain=domain), 'Brightness'
    for name in ('val_evaluator', 'test_evaluator'):
        cfg[name].metrics = [metric]
    cfg.default_hooks.student.update(metric=f'{domain}/{figure}', lower_is_better=False)
    for hook in cfg.get('custom_hooks') or []:
        hook.update(metrics={domain: [f'{domain}/{figure}']}, lower_is_better=False)


def train(cfg: Config, work_dir, resume_from=None) -> Runner:
    """Train a copy of a config and return its runner.

    Args:
        cfg (Config): Of :func:`toy_config`.
        work_dir (Path): Folder of the run.
        resume_from (Path | None): Checkpoint to continue from.
    """
    cfg = Config(cfg.to_dict())
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = uuid.uuid4().hex
    if resume_from is not None:
        cfg.resume, cfg.load_from = True, str(resume_from)
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def without_report(cfg: Config) -> Config:
    """Return a copy that writes no table: that takes a second."""
    cfg = Config(cfg.to_dict())
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    return cfg


def last_checkpoint(runner: Runner) -> dict:
    """Return what a run wrote last."""
    return torch.load(Path(runner.work_dir) / f'iter_{runner.iter}.pth', weights_only=True)


def batch(model, seed: int = 1) -> dict:
    """Return inputs of a step, and of the distiller's further streams."""
    torch.manual_seed(seed)
    streams = {
        name: {f'img_{d}': torch.rand(2, 3, SIZE, SIZE) * 2 - 1 for d in model._related_domains}
        for name in ('main', *model.distiller.streams)
    }
    return {**streams.pop('main'), **streams}


def build_model(cfg: Config, seed: int = 0):
    """Build and initialise the model of a config, without a runner."""
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope('mmagic'):
        model = MODELS.build(cfg.model)
    model.init_weights()
    return model


def optimizers(model, cfg: Config, lr: float | None = 1e-3):
    """Build the config's optimizers for a model, at one rate or its own."""
    from mmagic.engine.optimizers import MultiOptimWrapperConstructor

    wanted = {k: v for k, v in cfg.optim_wrapper.to_dict().items() if isinstance(v, dict)}
    for wrapper in wanted.values():
        wrapper['optimizer']['lr'] = lr or wrapper['optimizer']['lr']
    return MultiOptimWrapperConstructor(wanted)(model)


def snapshot(module) -> dict:
    """Return a copy of a module's parameters."""
    return {k: v.detach().clone() for k, v in module.named_parameters()}


def moved(module, before: dict) -> bool:
    """Tell whether any parameter differs from a snapshot."""
    return any(not torch.equal(v, before[k]) for k, v in module.named_parameters())


class Trainer:
    """What hooks see of a Runner, around the distiller's own steps."""

    def __init__(self, cfg, *hooks, start=0):
        self.model = build_model(cfg)
        self.distiller = self.model.distiller
        self.optim_wrapper = optimizers(self.model, cfg)
        self.hooks = sorted(hooks, key=lambda h: get_priority(h.priority))
        self.iter = self.distiller.iteration = start
        self.train_loop = SimpleNamespace(schedule=self.distiller.schedule)
        for hook in self.hooks:
            hook.before_train(self)

    def step(self):
        """Take one step as the train loop does and return its log."""
        self.model.train()
        for hook in self.hooks:
            hook.before_train_iter(self, self.iter)
        log = self.distiller.train_step(batch(self.model, self.iter), self.optim_wrapper)
        for hook in self.hooks:
            hook.after_train_iter(self, self.iter)
        self.iter += 1
        return log
