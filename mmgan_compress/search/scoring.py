"""How good a sub-network is: a metric on images that nothing learnt from."""

import itertools
import os
from collections.abc import Iterable, Iterator

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.runner import Runner
from torch.utils.data import Dataset

from ..core.channels import recalibrate
from ..core.search_space import Configuration
from ..core.tensor_files import load_tensors
from ..datasets.images import origin_of
from ..evaluation.metrics import STYLE_LPIPS, STYLE_PIXELS
from ..evaluation.report import check_names, evaluate, protocols_of
from ..models.distillation_model import DistillationModel
from ..models.student import Student, student_info
from ..models.student_config import domain_config, generator_config
from ..models.supernet import SuperNet
from ..registry import DATASETS, EVALUATORS, MODELS

# figures of which more is better; all others are distances
_HIGHER = ('PSNR', 'SSIM', 'mIoU-colours', STYLE_PIXELS, STYLE_LPIPS)
# images that batch norms are calibrated on (GAN Compression's search)
CALIBRATION_IMAGES = 512


def read_model(cfg: Config, path: str) -> DistillationModel:
    """Build a recipe's model without a teacher around trained generators.

    Args:
        cfg (Config): Recipe that they were trained by, changed in place.
        path (str): Student file, or checkpoint of a run.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is neither, or does not fit the recipe.
    """
    content = _checkpoint(path)
    if content is not None:
        state = content['state_dict']
    else:
        info = student_info(path)
        state = load_tensors(path)['state_dict']
        cfg.model.generator = {domain: domain_config(info, domain) for domain in info['reachable']}
        if list(info['domains']) != list(cfg.model.related_domains):
            raise ValueError(
                f'{path} translates {" -> ".join(info["domains"])}, the recipe '
                f'{" -> ".join(cfg.model.related_domains)}: name its own, with --demo where it was'
            )
        cfg.model.reachable_domains = list(info['reachable'])
        cfg.model.default_domain = info['default_domain']
    cfg.model.distiller = None
    model = MODELS.build(cfg.model)
    try:
        model.generators.load_state_dict(
            {
                key.removeprefix('generators.'): value
                for key, value in state.items()
                if key.startswith('generators.')
            }
        )
    except RuntimeError as error:
        raise ValueError(f'{path} does not fit the recipe: {error}') from error
    return model.to(get_device()).eval()


def _checkpoint(path: str) -> dict | None:
    """Return what a run's checkpoint holds; None if it is none."""
    try:
        content = load_tensors(path)
    except (OSError, ValueError):
        return None  # student_info says what is wrong with it
    return content if isinstance(content, dict) and 'mmgan_compress' in content else None


def check_origin(path: str, train: Dataset):
    """Refuse to search where other images are held out than in training.

    Args:
        path (str): Student file, or checkpoint, of the super-net.
        train (Dataset): Training split of the recipe.

    Raises:
        ValueError: If the file tells of other data or another ``hold_out``.
    """
    content = _checkpoint(path)
    made = (
        student_info(path).get('data')
        if content is None
        else origin_of(content['meta'].get('dataset_meta') or {})
    )
    if made and made != (now := origin_of(train.metainfo)):
        raise ValueError(
            f'{path} was trained on {made["folder"]} with hold_out={made["hold_out"]}, the '
            f'recipe has {now["folder"]} with hold_out={now["hold_out"]}: name those of the '
            'training, which must not know what chooses its sub-networks'
        )


def source_of(model: DistillationModel, cfg: Config, name: str) -> Student:
    """Return a model's generators as ``pruning/workflow.py`` takes them.

    Args:
        model (DistillationModel): What :func:`read_model` built.
        cfg (Config): Its recipe.
        name (str): What made it.
    """
    student = Student.from_model(model, cfg.train_dataloader.dataset.size, source=name)
    student.configs = {
        domain: generator_config(config) for domain, config in student.configs.items()
    }
    return student


def supernet_of(model: DistillationModel) -> SuperNet:
    """Return the super-net of a model.

    Raises:
        TypeError: If it has none.
    """
    net = model.generators[model._default_domain]
    if not isinstance(net, SuperNet):
        raise TypeError(
            f'the generator is a {type(net).__name__}, expected a SuperNet: name a student, '
            'or a checkpoint, of configs/gan_compression_*.py'
        )
    return net


class SubnetScorer:
    """Scores sub-networks of a super-net on the recipe's val split.

    Args:
        cfg (Config): Recipe of the super-net.
        model (DistillationModel): Around the super-net.
        metric (str | None): Figure of its val evaluator; None: what its
            best student is chosen by.
        calibration_images (int): Training images that batch norms are
            calibrated on, all of them for each sub-network.

    Raises:
        KeyError: If there is no such metric.
        ValueError: If the val split has images of train or test.
    """

    def __init__(
        self,
        cfg: Config,
        model: DistillationModel,
        metric: str | None = None,
        calibration_images: int = CALIBRATION_IMAGES,
    ):
        self.model, self.net = model, supernet_of(model)
        hook = cfg.default_hooks.get('student') or {}
        self.metric = metric or hook.get('metric')
        self.higher = (self.metric or '').rpartition('/')[-1] in _HIGHER
        self.train = DATASETS.build(cfg.train_dataloader.dataset)
        self.loader = Runner.build_dataloader(cfg.val_dataloader, seed=0)
        self.split = check_held_out(self.train, self.loader.dataset, _test_files(cfg))
        self.evaluator = EVALUATORS.build(cfg.val_evaluator)
        if not self.metric:
            raise KeyError('the recipe chooses no student by a metric: name one with --metric')
        check_names([self.metric], self.evaluator)
        self.calibration_images = min(calibration_images, len(self.train))

    def __call__(self, configuration: Configuration) -> float:
        """Return the metric of a sub-network."""
        try:
            self.set_channels(configuration)
            return evaluate(self.model, self.loader, self.evaluator)[self.metric]
        finally:
            self.net.set_channels(None)

    def set_channels(self, configuration: Configuration):
        """Let the super-net be a sub-network with its own batch norms."""
        self.net.set_channels(configuration)
        recalibrate(self.net, self._batches())

    @property
    def protocol(self) -> str:
        """How the metric is taken, once it was."""
        return protocols_of(self.evaluator).get(self.metric, '')

    def scored_files(self) -> list[str]:
        """Return the images that sub-networks are scored on."""
        return sorted(_files(self.loader.dataset))

    def calibration_files(self) -> list[str]:
        """Return the images that batch norms are calibrated on."""
        key = f'img_{self.model.source_of(self.model._default_domain)}_path'
        return [self.train[i]['data_samples'].metainfo[key] for i in range(self.calibration_images)]

    def _batches(self) -> Iterator[torch.Tensor]:
        """Yield inputs of the training set, the same each time."""
        step, count = self.loader.batch_size, self.calibration_images
        for start in range(0, count, step):
            batch = pseudo_collate([self.train[i] for i in range(start, min(start + step, count))])
            inputs = self.model.data_preprocessor(batch)['inputs']
            yield self.model.input_of(self.model._default_domain, inputs)


def check_held_out(train: Dataset, val: Dataset, test: set[str]) -> str:
    """Refuse to search on images that the super-net has learnt from, and on
    those that the end result is reported on.

    Args:
        train (Dataset): Training split.
        val (Dataset): That sub-networks are to be scored on.
        test (set[str]): Files of the test split.

    Returns:
        str: What they are scored on.

    Raises:
        ValueError: If there are such images.
    """
    shared, split = _files(train) & _files(val), getattr(val, 'split', 'val')
    advice = 'or move some training images to a val folder (unpaired: valA and valB) before'
    if shared:
        held = [getattr(data, 'hold_out', 0) for data in (train, val)]
        raise ValueError(
            f'the {split} split holds {len(shared)} images that the super-net learnt from, '
            f'{min(shared)} among them: train it with the same hold_out in the data sets of '
            f'train_dataloader and val_dataloader (now {held[0]} and {held[1]}), {advice}'
        )
    shared = test & _files(val)
    if shared:
        raise ValueError(
            f'val_dataloader has {len(shared)} images of the test split, {min(shared)} among '
            'them: hold out training images (hold_out in the data sets of train and val, '
            f'with val_folder=False where val is the test split), {advice}'
        )
    return f'{len(val)} images of the {split} split, none of them in training'


def _test_files(cfg: Config) -> set[str]:
    """Return the files of a recipe's test split, where there is one."""
    if not cfg.get('test_dataloader'):
        return set()
    try:
        return _files(DATASETS.build(cfg.test_dataloader.dataset))
    except FileNotFoundError:  # not needed otherwise
        return set()


def _files(dataset: Dataset) -> set[str]:
    """Return the files of this package's data sets, by their real paths."""
    files: Iterable = getattr(dataset, 'files', [])
    return {
        os.path.realpath(file)
        for file in (
            files if all(isinstance(file, str) for file in files) else itertools.chain(*files)
        )
    }
