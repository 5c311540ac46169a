"""Tiny recipes and data for the tests of training."""
import math
from pathlib import Path
from typing import Optional

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

from mmgan_compress.engine.launch import set_everywhere
from mmgan_compress.models.perceptual import _WIDTHS
from mmgan_compress.registry import MODELS

REPO = Path(__file__).resolve().parents[1]
SIZE = 32


def seeded_vgg() -> dict:
    """Return the weights of the golden fixtures' VGG-16 (their README).

    And three layers more, to relu5_3, which LPIPS asks for.
    """
    state, channels = {}, 3
    layers = {**_WIDTHS, 24: 512, 26: 512, 28: 512}
    for k, (index, width) in enumerate(layers.items()):
        rs = np.random.RandomState(1000 + k)
        weight = rs.standard_normal(
            (width, channels, 3, 3)) * math.sqrt(2 / (9 * channels))
        bias = rs.standard_normal(width) * 0.01
        state[f'features.{index}.weight'] = torch.tensor(
            weight.astype('float32'))
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


def toy_config(host: str, root, vgg: str, work_dir='unused') -> Config:
    """Return a main recipe with tiny networks, and its data in ``root``.

    Args:
        host (str): ``'cyclegan'`` or ``'pix2pix'``.
        root (Path): Where data are written if it does not exist.
        vgg (str): File of VGG-16 weights.
        work_dir (str | Path): Folder of the run.
    """
    cfg = Config.fromfile(REPO / f'configs/omgd_{host}.py')
    paired = host == 'pix2pix'
    if not Path(root).exists():
        sides = [''] if paired else ['A', 'B']
        write_images(root, {f'{split}{side}': count for side in sides
                            for split, count in (('train', 5), ('val', 2),
                                                 ('test', 2))}, paired)
    data = cfg._cfg_dict
    set_everywhere(data, 'data_root', str(root))
    set_everywhere(data, 'size', SIZE)
    set_everywhere(data, 'load_size', SIZE + 4)
    set_everywhere(data, 'base_channels', 4)
    distiller = cfg.model.distiller
    distiller.perceptual = dict(
        type='mmgan_compress.VGG16Features', weights=vgg)
    if paired:
        set_everywhere(data, 'norm_cfg', dict(type='IN'))
        for net in (cfg.model.generator, *distiller.teachers.values()):
            net.num_down = 5
        distiller.schedule = dict(
            epochs=4, constant=2, block=2, iters_per_epoch=1)
    else:
        for net in (cfg.model.generator, distiller.teacher.generator):
            net.num_blocks = 3
        distiller.channel.layers = ['model.9', 'model.12']
        distiller.schedule = dict(epochs=4, constant=2, block=2,
                                  student_epochs=2, iters_per_epoch=1)
    cfg.work_dir = str(work_dir)
    for loader in (cfg.train_dataloader, cfg.val_dataloader,
                   cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False, batch_size=2)
    _score_by_ssim(cfg)
    cfg.default_hooks.checkpoint.interval = 1
    cfg.default_hooks.checkpoint.max_keep_ckpts = -1
    cfg.default_hooks.logger.interval = 1
    return cfg


def _score_by_ssim(cfg: Config):
    """Score without a feature network."""
    domain = cfg.model.default_domain
    metric = dict(type='mmgan_compress.PairedQuality', domain=domain,
                  lpips=False)
    for name in ('val_evaluator', 'test_evaluator'):
        cfg[name].metrics = [metric]
    cfg.default_hooks.student.update(
        metric=f'{domain}/SSIM', lower_is_better=False)
    for hook in cfg.get('custom_hooks', []):
        hook.update(metrics={domain: [f'{domain}/SSIM']},
                    lower_is_better=False)


def build_host(cfg: Config, seed: int = 0):
    """Build and initialise the host of a config, without a runner."""
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope('mmagic'):
        host = MODELS.build(cfg.model)
    host.init_weights()
    return host


def optimizers(host, cfg: Config, lr: Optional[float] = 1e-3):
    """Build the config's optimizers for a host, at one rate or its own."""
    from mmagic.engine.optimizers import MultiOptimWrapperConstructor
    wanted = {k: v for k, v in cfg.optim_wrapper.to_dict().items()
              if isinstance(v, dict)}
    for wrapper in wanted.values():
        wrapper['optimizer']['lr'] = lr or wrapper['optimizer']['lr']
    return MultiOptimWrapperConstructor(wanted)(host)


def snapshot(module) -> dict:
    """Return a copy of a module's parameters."""
    return {k: v.detach().clone() for k, v in module.named_parameters()}


def moved(module, before: dict) -> bool:
    """Tell whether any parameter differs from a snapshot."""
    return any(not torch.equal(v, before[k])
               for k, v in module.named_parameters())
