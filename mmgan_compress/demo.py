"""``--demo``: any recipe in minutes on a CPU, with what the package ships.

The recipe keeps its method, losses and hooks. Swapped are the data (64-pixel
emoji), the teachers (small ones, trained beforehand by
``configs/demo/teacher_*.py``; the run starts from them and keeps training
them as the method says), the student's width, and the schedule.
"""
import sys
from functools import reduce
from operator import getitem
from pathlib import Path

from mmengine.config import Config, ConfigDict

DATA = Path(__file__).parent / 'datasets' / 'demo'
SIZE = 64
# The demo's settings: chosen by trying on 2 cores, for a student that
# visibly does the task after some 4 minutes.
STUDENT_LR, TEACHER_LR = 1e-3, 2e-5
_NETWORK = 'vgg16'  # the FID Inception would take half of the time
# Of both tasks' teacher, mmagic's ResNet with six blocks: behind the second
# down-sampling and the 2nd, 4th and 6th block.
_TEACHER_TAPS = ['model.2', 'model.4', 'model.6', 'model.8']
# The same places of a student with nine blocks.
_STUDENT_TAPS = ['model.9', 'model.12', 'model.15', 'model.18']
_RESNET = dict(type='ResnetGenerator', in_channels=3, out_channels=3,
               num_blocks=6)
_UNPAIRED_WIDTH, _PAIRED_WIDTH = 12, 20
_SEPARABLE = dict(type='mmgan_compress.SeparableResnetGenerator',
                  norm_cfg=dict(type='IN'), base_channels=8)
# Rates of the remaining optimizers: a discriminator that starts from nothing
# beside a trained teacher, and gates that have hundreds of steps to close.
_RATES = dict(student=STUDENT_LR, student_discriminators=2e-4, gates=2e-3)
# GAN Slimming's student goes on from its teacher, and its scales have
# hundreds of steps, not hundreds of epochs, to reach 0; at the published
# rate of 0.1 they diverge here.
_SLIMMING_RATES = dict(student=3e-4, scales=1e-3)
_RHO = 3.
# At full weight GCC's paired student has matched features, but not yet made
# images, when the demo ends: worse than without a teacher.
_COOPERATIVE = 0.1


def apply_demo(cfg: Config):
    """Turn a recipe into its demo, in place.

    Args:
        cfg (Config): A recipe of ``configs/``.

    Raises:
        ValueError: If the recipe's data are neither paired nor unpaired
            images of this package.
    """
    # a student that fits its own teacher has weights, by domain
    if _has_own_teacher(cfg.model.distiller) and \
            'type' not in cfg.model.generator:
        raise ValueError('the teacher of this recipe is one of your own, '
                         'which has no demo. A recipe of mmgan-compress prune: '
                         'make it with --demo')
    kind = cfg.train_dataloader.dataset.type.rsplit('.', 1)[-1]
    if kind not in ('UnpairedImages', 'PairedImages'):
        raise ValueError(f'no demo for data of type {kind!r}: expected '
                         'UnpairedImages or PairedImages')
    paired = kind == 'PairedImages'
    old, new = domains_of(cfg), (['edges', 'emoji'] if paired else
                                 ['flat', 'emoji'])
    rename_domains(cfg._cfg_dict, dict(zip(old, new)))
    root = str(DATA / f'{new[0]}2emoji')
    _swap_data(cfg, root, paired)
    _swap_student(cfg.model)
    distiller = cfg.model.distiller
    (_swap_paired if paired else _swap_unpaired)(distiller)
    _swap_schedule(distiller, paired)
    _swap_taps(distiller, paired)
    _swap_training(cfg)
    if '.GANSlimming' in distiller.type:
        _swap_slimming(cfg, paired)
    _swap_scoring(cfg, root, paired)
    _apply_own(cfg)


def _apply_own(cfg: Config):
    """Put in place what the recipe itself names, by dotted key."""
    for key, value in cfg._cfg_dict.pop('demo', {}).items():
        place, _, last = key.rpartition('.')
        reduce(getitem, place.split('.'), cfg._cfg_dict)[last] = value


def _has_own_teacher(distiller: ConfigDict) -> bool:
    """Tell whether it is made of a network with weights in its config."""
    teacher = distiller.get('teacher') or {}
    return str(teacher.get('type')).endswith('FrozenTeacher') or any(
        (config.get('init_cfg') or {}).get('type') == 'Pretrained'
        for config in (distiller.get('teachers') or {}).values())


def domains_of(cfg: Config) -> list[str]:
    """Return source and target domain of a recipe, in this order."""
    target = cfg.model.default_domain
    related = list(cfg.model.related_domains)
    return [d for d in related if d != target] + [target]


def rename_domains(node, names: dict[str, str]):
    """Replace domain names wherever a config mentions them, in place.

    Args:
        node (dict | list): Config, or a part of it.
        names (dict[str, str]): New name by the old one.
    """
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in list(items):
        if isinstance(value, (dict, list)):
            rename_domains(value, names)
        elif isinstance(value, str):
            domain, slash, figure = value.partition('/')
            if domain in names and (slash or value in names):
                node[key] = names[domain] + slash + figure


def _swap_data(cfg: Config, root: str, paired: bool):
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        # workers cost more to start than these files to read
        loader.num_workers, loader.persistent_workers = 0, False
        loader.batch_size = 16 if split != 'train' else 4 if paired else 1
        loader.dataset.update(
            data_root=root, split=split, size=SIZE,
            load_size=72 if split == 'train' else SIZE,
            domains=['edges' if paired else 'flat', 'emoji'])
        loader.dataset.pop('pipeline', None)  # of the recipe's own size
        if loader.dataset.pop('extra_images', None):
            print('--demo leaves out extra_images, of domains that it does '
                  'not have', file=sys.stderr)
        if 'teacher_images' in loader.dataset:  # 3-D emoji have these names
            loader.dataset.teacher_images = {'emoji': f'{root}/trainB'}


def _swap_student(model: ConfigDict):
    """Narrow the student; one that is compared with the teacher layer by
    layer becomes a ResNet, as the demo's teachers are."""
    by_layer = any(loss.type.endswith('CooperativeLoss') or loss.get(
        'on') == 'scale' for loss in model.distiller.get('losses') or [])
    if 'type' not in model.generator or by_layer:
        model.generator = ConfigDict(_SEPARABLE)
        return
    model.generator.base_channels = 8
    if 'Unet' in model.generator.type:
        model.generator.num_down = 5
    model.generator.pop('init_cfg', None)


def _swap_unpaired(distiller: ConfigDict):
    teacher = distiller.get('teacher')
    if 'student_discriminator' in distiller:
        _discriminator(distiller.student_discriminator).base_channels = 12
    network = ConfigDict(_RESNET, base_channels=_UNPAIRED_WIDTH,
                         norm_cfg=dict(type='IN'))
    checkpoint = str(DATA / 'teacher_flat2emoji.pth')
    if 'generators' in (teacher or {}):  # finished, with their own weights
        teacher.generators = {'emoji': dict(network, init_cfg=dict(
            type='Pretrained', checkpoint=checkpoint,
            prefix='teacher.generators.emoji'))}
    elif 'generator' in (teacher or {}):
        teacher.generator = network
        teacher.discriminator.update(base_channels=12)
        distiller.teacher_checkpoints = [checkpoint]


def _swap_paired(distiller: ConfigDict):
    norm_cfg = dict(type='IN')
    if 'student_discriminator' in distiller:
        _discriminator(distiller.student_discriminator).base_channels = 16
    count = len(distiller.get('teachers') or {})
    if not count:
        return
    wide = dict(_RESNET, base_channels=_PAIRED_WIDTH, norm_cfg=norm_cfg)
    deep = dict(type='mmgan_compress.DeepSeparableResnetGenerator',
                base_channels=6, norm_cfg=norm_cfg)
    distiller.teachers = ConfigDict(wide=wide, deep=deep) if count > 1 else \
        ConfigDict(wide=wide)
    distiller.discriminator = ConfigDict(
        type='mmgan_compress.MultiHeadPatchDiscriminator', in_channels=6,
        base_channels=16, norm_cfg=norm_cfg, num_heads=2, shared=3)
    distiller.teacher_checkpoints = [
        str(DATA / f'teacher_edges2emoji_{part}.pth')
        for part in ('wide', 'deep')]
    distiller.teacher_interval = 4


def _discriminator(config: ConfigDict) -> ConfigDict:
    """Return the plain one, inside of one with gates."""
    return config.get('discriminator', config)


def _swap_schedule(distiller: ConfigDict, paired: bool):
    """Give every method about as many steps of the student."""
    phases = 'student_epochs' in distiller.schedule
    distiller.schedule = ConfigDict(
        epochs=700, constant=350, block=350, iters_per_epoch=1) if paired \
        else ConfigDict(epochs=160, constant=120, block=40,
                        student_epochs=1000, iters_per_epoch=1) if phases \
        else ConfigDict(epochs=1200, constant=600, block=600,
                        iters_per_epoch=1)


def _swap_taps(distiller: ConfigDict, paired: bool):
    """Name the layers of the demo's networks."""
    for loss in distiller.get('losses') or []:
        if loss.get('layers'):
            loss.target_layers = _TEACHER_TAPS
        if loss.type.endswith('RelationLoss'):
            loss.patch_size = SIZE // 8  # 64, as in an image of 256 pixels
        if loss.type.endswith('CooperativeLoss'):
            loss.layers = _STUDENT_TAPS
            loss.weight = _COOPERATIVE if paired else 1.
        if loss.get('discriminator_layers') and paired:
            loss.discriminator_layers = ['blocks.1.0', 'blocks.3.0']
        if loss.get('on') == 'scale':  # instance norm has none
            loss.on = 'weight'


def _swap_training(cfg: Config):
    for name, wrapper in cfg.optim_wrapper.items():
        if isinstance(wrapper, dict):
            wrapper.optimizer.lr = _RATES.get(name, TEACHER_LR)
    cfg.default_hooks.logger.interval = 100
    cfg.default_hooks.checkpoint.interval = 500


def _swap_slimming(cfg: Config, paired: bool):
    """Let the student be a copy of the demo's teacher, with scales."""
    distiller = cfg.model.distiller
    cfg.model.generator = ConfigDict(
        _RESNET, norm_cfg=dict(type='IN', affine=True),
        base_channels=_PAIRED_WIDTH if paired else _UNPAIRED_WIDTH)
    if paired:
        distiller.teacher_checkpoints = [
            str(DATA / 'teacher_edges2emoji_wide.pth')]
        # the teacher's has two heads; the student's starts anew
        distiller.discriminator = None
        cfg.train_dataloader.batch_size = 1  # 4 would take ten minutes
    distiller.schedule = ConfigDict(epochs=800, constant=800, block=400,
                                    iters_per_epoch=1)
    cfg.default_hooks.student.pop('since', None)  # of the recipe's epochs
    for name, rate in _SLIMMING_RATES.items():
        if name in cfg.optim_wrapper:
            cfg.optim_wrapper[name].optimizer.lr = rate
    if 'slimming' in cfg.default_hooks:
        cfg.default_hooks.slimming.rho = _RHO


def _swap_scoring(cfg: Config, root: str, paired: bool):
    domains = list(cfg.model.reachable_domains)
    layout = 'paired' if paired else 'unpaired'
    for split in ('val', 'test'):
        metrics = [
            dict(type='mmgan_compress.FrechetDistance', domain=domain,
                 network=_NETWORK,
                 reference=dict(data_root=root, size=SIZE, layout=layout,
                                side='B' if domain == 'emoji' else 'A',
                                split=split))
            for domain in domains]
        if split == 'test':  # test pairs of the unpaired set are aligned too
            metrics += [dict(type='mmgan_compress.PairedQuality', domain=d)
                        for d in domains]
        cfg[f'{split}_evaluator'].metrics = metrics
    names = {d: [f'{d}/FD-{_NETWORK.upper()}'] for d in domains}
    cfg.default_hooks.student.metric = names[cfg.model.default_domain][0]
    for hook in cfg.get('custom_hooks', []):
        if hook.type.endswith('TeacherSelectionHook'):
            hook.clear()
            hook.update(type='mmgan_compress.TeacherSelectionHook',
                        metrics=names)
