"""What a run leaves behind: students, a table and pictures."""
import os
from pathlib import Path
from typing import Optional

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from PIL import Image
from torch.utils.data import Dataset

from ..core.resources import count_macs, count_params
from ..data.images import origin_of
from ..evaluation.comparison import save_comparison
from ..evaluation.report import (build_report, check_names, evaluate,
                                 protocols_of)
from ..models.supernet import SuperNet
from ..registry import HOOKS
from ..student import load_student, save_student
from .state import preserved_rng, unwrap

BEST, LAST = 'student_best.pth', 'student.pth'
_BEST_ROW = 'student, best(val)'


def write_student(host, path: str, trained_on: Dataset) -> str:
    """Write the host's student with its resources as a student file."""
    net, size = host.generators[host._default_domain], trained_on.size
    macs = count_macs(net, (1, 3, size, size))
    source = type(host.distiller).__name__ if host.distiller else 'none'
    return save_student(
        path, host, source=source, image_size=size,
        data=origin_of(trained_on.metainfo)
        if isinstance(net, SuperNet) else None,
        resources=dict(params=count_params(net), macs=macs.macs,
                       macs_paper=macs.macs_paper))


@HOOKS.register_module()
class StudentHook(Hook):
    """Write ``student.pth`` at the end and ``student_best.pth`` on the way.

    Args:
        metric (str | None): Validation metric that tells the best student;
            None keeps the last one only.
        lower_is_better (bool): Whether the metric is a distance.
        since (int): First epoch, from 1, whose student can be the best.
    """
    priority = 'LOW'

    def __init__(self, metric: Optional[str] = None,
                 lower_is_better: bool = True, since: int = 1):
        self.since = since
        self.metric, self.sign = metric, 1 if lower_is_better else -1

    def before_train(self, runner):
        if self.metric is not None and runner.val_loop is not None:
            check_names([self.metric], runner.val_loop.evaluator)

    def after_val_epoch(self, runner, metrics=None):
        epoch = runner.train_loop.schedule.epoch(runner.iter - 1)
        if self.metric is None or epoch < self.since or not is_main_process():
            return
        hub, score = runner.message_hub, float(metrics[self.metric])
        best = hub.runtime_info.get('best_student')  # checkpoints hold it
        if best is None:
            best = self.sign * float('inf')
        if not self.sign * score < self.sign * best:  # nor for NaN
            return
        hub.update_info('best_student', score)
        path = os.path.join(runner.work_dir, BEST)
        write_student(unwrap(runner.model), path,
                      runner.train_dataloader.dataset)
        runner.logger.info('Best student on the val split so far: %s %.4g, '
                           'written to %s', self.metric, score, path)

    def after_train(self, runner):
        if is_main_process():
            path = os.path.join(runner.work_dir, LAST)
            write_student(unwrap(runner.model), path,
                          runner.train_dataloader.dataset)
            runner.logger.info('Student written to %s', path)


@HOOKS.register_module()
class ReportHook(Hook):
    """Score teachers and student on the test split when training ends.

    A recipe without a test split leaves out the report.

    Args:
        pictures (int): Rows of ``comparison.png``.
    """
    priority = 'VERY_LOW'  # when the students are on disk

    def __init__(self, pictures: int = 6):
        self.pictures = pictures

    def after_val_epoch(self, runner, metrics=None):
        """Show the state of affairs in the visualizer's backends."""
        if is_main_process():
            host = unwrap(runner.model)
            path = os.path.join(runner.work_dir, 'comparison_val.png')
            save_comparison(path, *comparison(
                host, runner.val_dataloader.dataset, self.pictures))
            with Image.open(path) as picture:
                runner.visualizer.add_image(
                    'comparison', np.asarray(picture), runner.iter)

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
    host, cfg = unwrap(runner.model), runner.cfg
    loader = runner.build_dataloader(cfg.test_dataloader, seed=runner.seed)
    evaluator = runner.build_evaluator(cfg.test_evaluator)
    domain, size = host._default_domain, loader.dataset.size
    names = list(host.distiller.reported_teachers) if host.distiller else []
    metrics, protocols = {}, {}
    for name in [*names, 'student']:
        runner.logger.info('Scoring %s on the test split', name)
        with host.scoring(name):
            metrics[name] = evaluate(host, loader, evaluator)
        protocols.update(protocols_of(evaluator))
    best = Path(runner.work_dir) / BEST
    if best.is_file():
        metrics[_BEST_ROW] = _score_file(host, best, loader, evaluator)
    if not is_main_process():
        return
    device = next(host.parameters()).device
    if device.type != 'cpu':
        protocols['device'] = torch.cuda.get_device_name(device)
    report = build_report(
        {name: host.network(name, domain) for name in names},
        host.generators[domain], metrics, protocols, size,
        host.distiller.notes() if host.distiller else [])
    report.save(runner.work_dir)
    path = os.path.join(runner.work_dir, 'comparison.png')
    save_comparison(path, *comparison(host, loader.dataset, pictures))
    report.print()
    print(f'table: {runner.work_dir}/report.md  pictures: {path}')


def _score_file(host, path, loader, evaluator) -> dict:
    """Score the generators of a student file in the host's place."""
    last = {k: v.clone() for k, v in host.generators.state_dict().items()}
    try:
        for domain, generator in host.generators.items():
            generator.load_state_dict(load_student(path, domain).state_dict())
        return evaluate(host, loader, evaluator)
    finally:
        host.generators.load_state_dict(last)


def comparison(host, dataset: Dataset, count: int) -> tuple[list, list]:
    """Return rows of pictures and their titles for ``save_comparison``.

    Columns are the input, every teacher, the student and, where the data set
    is aligned, the target; rows are spread evenly over the data set.
    """
    domain = host._default_domain
    source = host.source_of(domain)
    at = np.linspace(0, len(dataset) - 1, min(count, len(dataset)))
    batch = pseudo_collate([dataset[int(i)] for i in at])
    names = list(host.distiller.reported_teachers) if host.distiller else []
    columns, titles = [], []
    for name in [*names, 'student']:
        with host.scoring(name, [domain]):
            samples = host.val_step(batch)
        columns.append([s.get(f'fake_{domain}') for s in samples])
        titles.append(name)
    columns.insert(0, [s.get(f'img_{source}') for s in samples])
    titles.insert(0, f'input\n{source}')
    if dataset.aligned:
        columns.append([s.get(f'img_{domain}') for s in samples])
        titles.append(f'target\n{domain}')
    return list(map(list, zip(*columns))), titles
