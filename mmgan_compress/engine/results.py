"""Results of a run: student files, a report and pictures."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
import torch.nn as nn
from mmengine.dataset import pseudo_collate
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.structures import BaseDataElement
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from ..core.complexity import count_params
from ..core.inputs import LabelMap, input_of, is_noise
from ..datasets.images import coloured, open_image, origin_of, to_array
from ..evaluation.comparison import PICTURE, VAL_PICTURE, save_comparison
from ..evaluation.metrics import PairedQuality, TeacherSimilarity
from ..evaluation.report import build_report, check_names, evaluate, protocols_of
from ..models.student import Student, load_student
from ..models.supernet import SuperNet
from ..registry import HOOKS
from .resume import preserved_rng, unwrap

BEST, LAST = 'student_best.pth', 'student.pth'
_BEST_ROW = 'student, best(val)'


def write_student(model, path: str, trained_on: Dataset) -> str:
    """Write the model's student with its resources as a student file."""
    student = Student.from_model(
        model, trained_on.size, source=model.distiller.method if model.distiller else 'none'
    )
    if isinstance(student.generators[student.default_domain], SuperNet):
        student.data = origin_of(trained_on.metainfo)
    student.measure()
    return student.save(path)


def annotate_student(path: str | os.PathLike, scales: dict[str, dict]):
    """Add scales to a student file; its networks stay as they are.

    Args:
        path (str | PathLike): Student file.
        scales (dict[str, dict]): By domain, as in
            ``models/quantization.py``.
    """
    student = Student.load(path)
    student.quantization = scales
    # without what NNI learns beside the weights
    student.resources['params'] = count_params(student.generators[student.default_domain])
    student.save(path)


@HOOKS.register_module()
class StudentHook(Hook):
    """Write ``student.pth`` at the end and ``student_best.pth`` on the way.

    ``student_best.pth`` holds the best generator of each direction. A
    generator whose domain has the figure that ``metric`` names (``horse/FID``
    beside ``zebra/FID``) is chosen by that, the others by ``metric``. If a
    hook of the run has ``scales(runner)``, its figures go into the files.

    Args:
        metric (str | None): Validation metric that tells the best student;
            None keeps the last one only.
        lower_is_better (bool): Whether the metric is a distance.
        since (int): First epoch, from 1, whose student can be the best.
    """

    priority = 'LOW'

    def __init__(self, metric: str | None = None, lower_is_better: bool = True, since: int = 1):
        self.since = since
        self.metric, self.sign = metric, 1 if lower_is_better else -1
        self._metrics: dict[str, str] = {}
        self._best: dict[str, dict] = {}  # weights by domain, and scales
        self._best_scales: dict[str, dict] = {}

    def before_train(self, runner):
        Student.from_model(unwrap(runner.model), 0).check()
        if self.metric is None or runner.val_loop is None:
            return
        evaluator = runner.val_loop.evaluator
        check_names([self.metric], evaluator)
        computed = {name for metric in evaluator.metrics for name in getattr(metric, 'names', [])}
        figure = self.metric.partition('/')[2]
        for domain in unwrap(runner.model).domains:
            own = f'{domain}/{figure}'
            self._metrics[domain] = own if own in computed else self.metric
        if self._best:  # of a checkpoint, perhaps in another folder
            self._write_best(runner)

    def after_val_epoch(self, runner, metrics=None):
        epoch = runner.train_loop.schedule.epoch(runner.iter - 1)
        if self.metric is None or epoch < self.since or not is_main_process():
            return
        hub, model = runner.message_hub, unwrap(runner.model)
        best = hub.runtime_info.get('best_student', {})  # of a checkpoint
        better, scales = {}, self._scales(runner)
        for domain, name in self._metrics.items():
            score = self.sign * float(metrics[name])
            if score < self.sign * best.get(domain, self.sign * float('inf')):
                better[domain] = self.sign * score  # not where it is NaN
                self._best[domain] = weights_of(model.generators[domain])
                if domain in scales:
                    self._best_scales[domain] = scales[domain]
        if not better:
            return
        hub.update_info('best_student', {**best, **better})
        path = self._write_best(runner)
        runner.logger.info(
            'Best student on the val split so far: %s, written to %s',
            ', '.join(f'{self._metrics[domain]} {score:.4g}' for domain, score in better.items()),
            path,
        )

    def _write_best(self, runner) -> str:
        with _holding(unwrap(runner.model), self._best):
            return self._write(runner, BEST, self._best_scales)

    @staticmethod
    def _write(runner, name: str, scales: dict[str, dict]) -> str:
        path = os.path.join(runner.work_dir, name)
        write_student(unwrap(runner.model), path, runner.train_dataloader.dataset)
        if scales:
            annotate_student(path, scales)
        return path

    @staticmethod
    def _scales(runner) -> dict[str, dict]:
        """Return what student files say of 8 bits, by domain."""
        hooks = [hook for hook in runner.hooks if hasattr(hook, 'scales')]
        return {key: own for hook in hooks for key, own in hook.scales(runner).items()}

    def after_train(self, runner):
        if is_main_process():
            path = self._write(runner, LAST, self._scales(runner))
            runner.logger.info('Student written to %s', path)

    def before_save_checkpoint(self, runner, checkpoint: dict):
        checkpoint['student_best'] = self._best
        checkpoint['student_best_scales'] = self._best_scales

    def after_load_checkpoint(self, runner, checkpoint: dict):
        if not (runner._resume and is_main_process()):
            return
        self._best = checkpoint.get('student_best', {})
        self._best_scales = checkpoint.get('student_best_scales', {})
        seen = checkpoint['message_hub']['runtime_info']
        if isinstance(seen.get('best_student'), float):  # of version 0.1.0
            seen['best_student'] = dict.fromkeys(unwrap(runner.model).domains, seen['best_student'])


def weights_of(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return a copy of a network's state, on the CPU."""
    return {key: value.detach().cpu().clone() for key, value in network.state_dict().items()}


@contextlib.contextmanager
def _holding(model, weights: dict[str, dict]) -> Iterator[None]:
    """Give the model's generators other weights inside the block."""
    before = {domain: weights_of(model.generators[domain]) for domain in weights}
    try:
        for domain, state in weights.items():
            model.generators[domain].load_state_dict(state)
        yield
    finally:
        for domain, state in before.items():
            model.generators[domain].load_state_dict(state)


@HOOKS.register_module()
class ReportHook(Hook):
    """Score teachers and student on the test split when training ends.

    There is no report if the recipe has no test split.

    Args:
        pictures (int): Rows of ``comparison.png``.
    """

    priority = 'VERY_LOW'  # when the students are on disk

    def __init__(self, pictures: int = 6):
        self.pictures = pictures

    def after_val_epoch(self, runner, metrics=None):
        """Write a comparison and show it in the visualizer's backends."""
        if is_main_process():
            model = unwrap(runner.model)
            path = os.path.join(runner.work_dir, VAL_PICTURE)
            save_comparison(path, *comparison(model, runner.val_dataloader.dataset, self.pictures))
            with Image.open(path) as picture:
                runner.visualizer.add_image('comparison', np.asarray(picture), runner.iter)

    def after_train(self, runner):
        if runner.cfg.get('test_dataloader') is None:
            return
        with preserved_rng():
            report_run(runner, self.pictures)


def report_run(runner, pictures: int = 6):
    """Score on the test split and write table and pictures.

    Writes ``report.json``, ``report.md`` and ``comparison.png`` into the
    runner's work dir and prints the table.
    """
    model, cfg = unwrap(runner.model), runner.cfg
    loader = runner.build_dataloader(cfg.test_dataloader, seed=runner.seed)
    evaluator = runner.build_evaluator(cfg.test_evaluator)
    domain, size = model._default_domain, loader.dataset.size
    names = list(model.distiller.reported_teachers) if model.distiller else []
    metrics = {}
    for name in names:
        runner.logger.info('Scoring %s on the test split', name)
        with model.scoring(name):
            metrics[name] = evaluate(model, loader, evaluator)
    teacher = next(iter(names), None)
    if teacher:
        evaluator.metrics += [TeacherSimilarity(d, teacher) for d in model.domains]
    runner.logger.info('Scoring student on the test split')
    with model.scoring('student', teacher=teacher):
        metrics['student'] = evaluate(model, loader, evaluator)
    protocols = protocols_of(evaluator)
    best = Path(runner.work_dir) / BEST
    if best.is_file():
        weights = {domain: load_student(best, domain).state_dict() for domain in model.domains}
        with _holding(model, weights), model.scoring('student', teacher=teacher):
            metrics[_BEST_ROW] = evaluate(model, loader, evaluator)
    if not is_main_process():
        return
    device = next(model.parameters()).device
    if device.type != 'cpu':
        protocols['device'] = torch.cuda.get_device_name(device)
    teachers = {name: model.network(name, domain) for name in names}
    notes = model.distiller.notes() if model.distiller else []
    report = build_report(teachers, model.generators[domain], metrics, protocols, size, notes)
    report.save(runner.work_dir)
    picture = os.path.join(runner.work_dir, PICTURE)
    # the figure that chooses the student, or else the first of the domain
    wanted = ((cfg.get('default_hooks') or {}).get('student') or {}).get('metric')
    captions = {row.name: row.caption(wanted, domain) for row in report.rows}
    paired = any(isinstance(m, PairedQuality) and m.domain == domain for m in evaluator.metrics)
    save_comparison(picture, *comparison(model, loader.dataset, pictures, captions, paired))
    report.print()
    print(f'table: {runner.work_dir}/report.md  pictures: {picture}')
    if best.is_file():
        print(f'student: {best}')


def comparison(
    model,
    dataset: Dataset,
    count: int,
    captions: Mapping[str, str] = MappingProxyType({}),
    paired: bool = False,
) -> tuple[list, list, list | None]:
    """Return the arguments of ``save_comparison`` behind its path.

    Columns are the input (unless it is noise), every teacher, the student and, where the data set
    has pairs, the target; rows are spread evenly over the data set. Where ``val_step`` gives a
    second style, it stands beside the first.

    Args:
        model (DistillationModel): With the networks to compare.
        dataset (Dataset): Images to translate.
        count (int): Number of rows at most.
        captions (dict[str, str]): Lines under the titles of teachers and
            student, by their names.
        paired (bool): Whether images at the same index are pairs though the
            data set does not say so.

    Returns:
        tuple[list, list, list | None]: Rows of pictures, the titles, and the
        width and height of each row's original image.
    """
    domain = model._default_domain
    source = model.source_of(domain)
    at = np.linspace(0, len(dataset) - 1, min(count, len(dataset)))
    # one by one: they may be of several sizes
    batches = [pseudo_collate([dataset[int(i)]]) for i in at]
    names = list(model.distiller.reported_teachers) if model.distiller else []
    columns = {}
    for name in [*names, 'student']:
        with model.scoring(name, [domain]):
            samples = [model.val_step(batch)[0] for batch in batches]
        title = '\n'.join(filter(None, [name, f'{source} to {domain}', captions.get(name)]))
        columns[title] = [sample.get(f'fake_{domain}') for sample in samples]
        if f'restyled_{domain}' in samples[0]:
            columns[f'{name}\nanother style'] = [s.get(f'restyled_{domain}') for s in samples]
    if is_noise(model.network('student', domain)):
        return list(map(list, zip(*columns.values()))), list(columns), None
    shown = [_input_picture(model.generators[domain], sample, source) for sample in samples]
    columns = {f'input\n{source}': shown, **columns}
    if dataset.aligned or paired:
        columns[f'target\n{domain}'] = [sample.get(f'img_{domain}') for sample in samples]
    return (
        list(map(list, zip(*columns.values()))),
        list(columns),
        _shapes(samples, f'img_{source}_path', getattr(dataset, 'halved', False)),
    )


def _input_picture(network: nn.Module, sample: BaseDataElement, source: str) -> Tensor:
    """Return what a network took, (C, H, W): a label map in colours."""
    picture = sample.get(f'img_{source}')
    if not isinstance(input_of(network), LabelMap):
        return picture
    image = coloured(sample.get(f'img_{source}_path'))
    size = picture.shape[2], picture.shape[1]
    pixels = to_array(image.resize(size, Image.Resampling.NEAREST))
    return torch.from_numpy(pixels).permute(2, 0, 1).float()


def _shapes(samples: list, key: str, halved: bool) -> list[tuple[int, int]] | None:
    """Return width and height of the samples' image files, if they have."""
    files = [sample.get(key) for sample in samples]
    if None in files:
        return None
    sizes = [open_image(file).size for file in files]
    return [(width // 2 if halved else width, height) for width, height in sizes]
