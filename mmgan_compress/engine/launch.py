"""From the command line to a Runner: overrides, and what is refused."""
import functools
import os
import sys
import warnings
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict, DictAction
from mmengine.runner import Runner
from torch.utils.data import Dataset

from ..core.logs import message_of
from ..core.recipes import find_config, read_config, walk
from ..data.datasets import TranslationImages
from ..data.weights import weights_path
from ..evaluation.distances import MIN_IMAGES
from ..evaluation.reference import Reference
from ..registry import DATASETS, MODELS
from .channels import fit_channels
from .state import unwrap

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def set_everywhere(cfg, key: str, value):
    """Set ``key`` in every dict of a config that has it."""
    for node in walk(cfg):
        if key in node:
            node[key] = value


def load_config(args: Namespace) -> Config:
    """Read the config and apply the command line to it.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If options contradict each other or the machine, or the
            generator is for images that are neither grey, RGB nor RGBA.
    """
    args.config = find_config(args.config)
    cfg = read_config(args.config)
    if args.demo:
        if args.data_root:
            raise ValueError('--demo brings its own data: leave out '
                             '--data-root, or leave out --demo')
        from ..demo import apply_demo
        apply_demo(cfg)
    if args.data_root:
        set_everywhere(cfg._cfg_dict, 'data_root', args.data_root)
        if not any(os.path.isdir(os.path.join(args.data_root, name))
                   for name in ('test', 'testA')):
            print('no test images in --data-root: there will be no report; '
                  'see comparison_val.png and the log', file=sys.stderr)
            cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    if args.cfg_options:
        action = DictAction([], 'options')
        options = Namespace()
        action(None, options, args.cfg_options)
        cfg.merge_from_dict(options.options)
    fit_channels(cfg)
    for loader in _LOADERS:  # torch refuses the two together
        if cfg.get(loader) and cfg[loader].num_workers == 0:
            cfg[loader].persistent_workers = False
    return cfg


def choose_work_dir(args: Namespace) -> str:
    """Return the folder of the run; a run never writes into another's.

    Raises:
        FileExistsError: If ``--work-dir`` holds a run and is not resumed.
    """
    if args.resume not in (None, 'auto'):
        if not os.path.isfile(args.resume):
            raise FileNotFoundError(f'no checkpoint {args.resume!r}')
        return args.work_dir or str(Path(args.resume).parent)
    if args.work_dir:
        if args.resume is None and has_run(args.work_dir):
            raise FileExistsError(
                f'{args.work_dir} holds a run already: add --resume to '
                'continue it, or name another --work-dir')
        if args.resume and not has_run(args.work_dir):
            raise FileNotFoundError(f'no run to resume in {args.work_dir}')
        return args.work_dir
    fresh = next_work_dir(args.config, args.demo)
    if args.resume != 'auto':
        return fresh
    runs = [d for d in _work_dirs(args.config, args.demo) if has_run(d)]
    if not runs:
        raise FileNotFoundError(f'no run to resume in {fresh}')
    return runs[-1]


def _work_dirs(config: str, demo: bool) -> list[str]:
    """Return the numbered folders of a recipe's runs, the next one last."""
    base = os.path.join('work_dirs',
                        Path(config).stem + ('-demo' if demo else ''))
    names = [base]
    while os.path.isdir(names[-1]):
        names.append(f'{base}-{len(names) + 1}')
    return names


def next_work_dir(config: str, demo: bool) -> str:
    """Return the first numbered folder of a recipe that holds no run."""
    names = _work_dirs(config, demo)
    return next(name for name in names if not has_run(name))


def has_run(folder: str) -> bool:
    """Tell whether a folder holds checkpoints or a student."""
    return any(Path(folder).glob('*.pth')) or \
        os.path.isfile(os.path.join(folder, 'last_checkpoint'))


def check_inputs(cfg: Config, loaders: Sequence[str] = _LOADERS):
    """Refuse missing data and weights before anything is built.

    Raises:
        FileNotFoundError: Naming the path and the command that makes it.
        ValueError: For images that cannot be used, or too few of them.
    """
    for loader in loaders:
        if cfg.get(loader):
            _check_numbers(cfg, loader, DATASETS.build(cfg[loader].dataset))
    held = [cfg[f'{split}_dataloader'].dataset.get('hold_out', 0)
            for split in ('train', 'val') if cfg.get(f'{split}_dataloader')]
    if len(set(held)) > 1:
        raise ValueError(f'hold_out is {held[0]} for training and {held[1]} '
                         'for val: give both data sets the same')
    for name in needed_weights(cfg):
        weights_path(name)
    for file in starting_files(cfg):
        if not os.path.isfile(file):
            raise FileNotFoundError(f'no weights {file!r}, which the student '
                                    'or a teacher starts from')


def _check_numbers(cfg: Config, loader: str, dataset: Dataset):
    """Refuse too few images for a batch, or for the figures of a split."""
    if not isinstance(dataset, TranslationImages):
        return  # of another package
    split = loader.removesuffix('_dataloader')
    if split == 'train':
        count = dataset.sources(cfg.model.default_domain)
        if cfg[loader].get('drop_last') and count < cfg[loader].batch_size:
            raise ValueError(
                f'{count} training images make no batch of '
                f'{cfg[loader].batch_size}: add images to '
                f'{dataset.data_root}, or lower train_dataloader.batch_size')
    users = [cfg.get(f'{split}_evaluator')]
    if split == 'val':
        users.append(cfg.get('custom_hooks'))
    for node in walk(users):
        if 'domain' in node and dataset.sources(node.domain) < MIN_IMAGES:
            raise ValueError(
                f'{node.type} of {node.domain!r} needs at least {MIN_IMAGES} '
                f'images, and the {split} split has '
                f'{dataset.sources(node.domain)} in {dataset.data_root}: add '
                'images, or raise max_images or hold_out of the data set')
        if 'reference' in node:
            Reference(**node.reference).check()


def starting_files(cfg: Config) -> list[str]:
    """Return the files that a config's networks take their weights from."""
    files = [node.checkpoint for node in walk(cfg.model)
             if node.get('type') == 'Pretrained']
    distiller = cfg.model.get('distiller') or {}
    judge = distiller.get('discriminator_checkpoint')
    return [*files, *distiller.get('teacher_checkpoints', []),
            *([judge] if judge else [])]


def needed_weights(cfg: Config) -> list[str]:
    """Return which prepared networks a config makes use of."""
    distiller, needed = cfg.model.get('distiller'), set()
    users = [cfg.get(key) for key in ('val_evaluator', 'test_evaluator',
                                      'custom_hooks')]
    for node in walk(users):
        kind = str(node.get('type', '')).rsplit('.', 1)[-1]
        if kind == 'FrechetDistance':
            needed.add(node.get('network', 'inception'))
        elif kind == 'PairedQuality' and node.get('lpips', True):
            needed.add('vgg16')
    if distiller is not None and _asks_perceptual(distiller):
        perceptual = distiller.get('perceptual') or {}
        if perceptual.get('weights', 'imagenet') == 'imagenet':
            needed.add('vgg16')
    return sorted(needed)


def _asks_perceptual(distiller: ConfigDict) -> bool:
    """Tell whether a term does; without any given, those of the method."""
    asking = distiller.get('terms') or [distiller]
    return any(getattr(MODELS.get(node.type), 'uses_perceptual', False)
               for node in asking)


def use_amp(cfg: Config):
    """Switch every optimizer to mixed precision.

    Raises:
        ValueError: Without a CUDA device.
    """
    if not torch.cuda.is_available():
        raise ValueError('--amp needs a CUDA device and none was found: '
                         'leave it out')
    for value in cfg.optim_wrapper.values():
        if isinstance(value, dict):
            value.type = 'AmpOptimWrapper'


def start_distributed(args: Namespace):
    """Start the process group on CPUs, where mmengine would ask for CUDA."""
    if args.launcher == 'pytorch' and not torch.cuda.is_available():
        torch.distributed.init_process_group('gloo')


def explained(build: Callable[[Namespace], Runner]) -> Callable:
    """End the program with one message for what the user can mend."""

    @functools.wraps(build)
    def wrapper(args: Namespace) -> Runner:
        # mmagic gives convolutions before instance norm a bias on purpose
        warnings.filterwarnings('ignore', message='Unnecessary conv bias')
        try:
            return build(args)
        except (FileNotFoundError, FileExistsError, KeyError,
                ValueError) as error:
            sys.exit(f'error: {message_of(error)}')

    return wrapper


def finish_distributed():
    """Wait for the others before leaving: rank 0 still writes the report."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


@explained
def make_runner(args: Namespace) -> Runner:
    """Build the Runner that a command line of ``tools/train.py`` asks for."""
    cfg = load_config(args)
    cfg.work_dir = choose_work_dir(args)
    cfg.launcher = args.launcher
    if args.seed is not None:
        cfg.randomness.seed = args.seed
    if args.amp:
        use_amp(cfg)
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    check_inputs(cfg)
    start_distributed(args)
    return Runner.from_cfg(cfg)


@explained
def make_tester(args: Namespace) -> Runner:
    """Build the Runner of ``tools/test.py`` and load what is scored."""
    if not os.path.isfile(args.checkpoint):
        raise FileNotFoundError(f'no checkpoint {args.checkpoint!r}')
    cfg = load_config(args)
    cfg.work_dir = args.work_dir or str(Path(args.checkpoint).parent / 'test')
    cfg.launcher = args.launcher
    checkpoint = torch.load(args.checkpoint, map_location='cpu',
                            weights_only=True)
    is_run = 'mmgan_compress' in checkpoint
    if not is_run:  # a student: no teacher to build or to fetch weights for
        cfg.model.distiller = None
    check_inputs(cfg, loaders=['test_dataloader'])
    start_distributed(args)
    runner = Runner.from_cfg(cfg)
    host = unwrap(runner.model)
    host.load_state_dict(checkpoint['state_dict'], strict=True)
    if is_run:
        host.distiller.load_training_state(
            checkpoint['mmgan_compress']['distiller'])
    return runner
