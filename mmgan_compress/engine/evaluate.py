"""Scores of networks by the metrics and data of a recipe, without a run."""

import copy
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn as nn
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from ..core.files import refuse_taken
from ..evaluation.report import FILES, STUDENT, Report, build_report, evaluate, protocols_of
from ..models.distillation_model import DistillationModel
from ..models.student import load_student
from ..registry import DATASETS, EVALUATORS, MODELS
from .channels import set_channels
from .resume import preserved_rng
from .runner_builder import check_inputs, load_config


def read_recipe(
    path: str, loader: str, student: dict, demo: bool = False, data_root: str | None = None
) -> Config:
    """Read a recipe and check that it fits a student and has its data.

    Args:
        path (str): Recipe.
        loader (str): Loader to use, such as ``'test_dataloader'``.
        student (dict): Of ``student_info``: its domains, and the channels
            that images are read with.
        demo (bool): Take the recipe's demo.
        data_root (str | None): Folder of images in place of the recipe's.

    Raises:
        FileNotFoundError: If recipe, data or weights are missing.
        ValueError: If it has other domains or no such loader.
    """
    cfg = load_config(Namespace(config=path, demo=demo, data_root=data_root))
    own, domains = cfg.model.related_domains, student['domains']
    if set(own) != set(domains):
        raise ValueError(
            f'{path} is for the domains {own} and the student for {domains}: name another recipe'
        )
    if not cfg.get(loader):
        raise ValueError(f'{path} has no {loader}')
    if 'channels' in student:
        set_channels(cfg, student['channels'])
    check_inputs(cfg, [loader])
    return cfg


def recipe_images(
    cfg: Config, loader: str, source: str, most: int | None = None
) -> list[np.ndarray]:
    """Return images of a domain as a loader of a recipe gives them.

    Args:
        cfg (Config): Recipe.
        loader (str): ``'train_dataloader'`` or ``'test_dataloader'``.
        source (str): Domain.
        most (int | None): How many at most, evenly chosen; all if None.

    Returns:
        list[ndarray]: (H, W, channels), uint8.
    """
    with preserved_rng():
        data = DATASETS.build(copy.deepcopy(cfg[loader].dataset))
        at = np.unique(np.linspace(0, len(data) - 1, most or len(data)).astype(int))
        images = [data[int(i)]['inputs'][f'img_{source}'] for i in at]
    return [image.permute(1, 2, 0).contiguous().byte().numpy() for image in images]


def named_images(
    name: str | None,
    loader: str,
    student: dict,
    domain: str,
    most: int,
    demo: bool = False,
    data_root: str | None = None,
) -> Any:
    """Return the images that an option of the command line names.

    Args:
        name (str | None): Image, folder, or recipe (``.py``).
        loader (str): Loader to use if it is a recipe.
        student (dict): Of ``student_info``.
        domain (str): What it generates: the images are of the other domain.
        most (int): How many of a recipe's, at most.
        demo (bool): As of :func:`read_recipe`.
        data_root (str | None): Likewise.

    Returns:
        Any: For ``translate``.
    """
    if not name or not name.endswith('.py'):
        return name
    cfg = read_recipe(name, loader, student, demo, data_root)
    return recipe_images(cfg, loader, source_of(student, domain), most)


def source_of(student: dict, domain: str) -> str:
    """Return the domain whose images become those of another.

    Args:
        student (dict): Of ``student_info``.
        domain (str): What is generated.
    """
    return next(d for d in student['domains'] if d != domain)


def score_networks(
    cfg: Config, networks: Mapping[str, nn.Module], domains: list[str], domain: str
) -> tuple[dict[str, dict], dict[str, str]]:
    """Score networks on a recipe's test split, by its metrics.

    Args:
        cfg (Config): Of :func:`read_recipe`.
        networks (Mapping[str, nn.Module]): Generators of images in [-1, 1].
        domains (list[str]): Both domains, source first.
        domain (str): What they generate.

    Returns:
        dict[str, dict]: Figures by network.
        dict[str, str]: Protocol of each figure.
    """
    scores = {}
    with (
        preserved_rng(),
        DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmagic'),
    ):
        # the networks take the place of its own
        generator = dict(type='SeparableResnetGenerator', base_channels=1)
        with MODELS.switch_scope_and_registry('mmgan_compress'):
            model = DistillationModel(generator, domain, [domain], domains)
        loader = Runner.build_dataloader(cfg.test_dataloader)
        evaluator = EVALUATORS.build(dict(dict(type='Evaluator'), **cfg.test_evaluator))
        evaluator.dataset_meta = getattr(loader.dataset, 'metainfo', None)
        for name, network in networks.items():
            model.generators[domain] = network
            scores[name] = evaluate(model, loader, evaluator)
    return scores, protocols_of(evaluator)


def report_students(
    students: Sequence[str],
    recipe: str,
    out: str,
    demo: bool = False,
    data_root: str | None = None,
    overwrite: bool = False,
) -> Report:
    """Score student files on a recipe's test split; write one table.

    Args:
        students (Sequence[str]): ``'NAME=FILE'``; costs are compared with
            those of the first.
        recipe (str): Whose test split and metrics are used.
        out (str): Folder to write into.
        demo (bool): Whether to take the recipe's demo.
        data_root (str | None): Images in place of those of the recipe.
        overwrite (bool): Whether a report in ``out`` may be replaced.

    Raises:
        FileExistsError: If a report is there.
        ValueError: If a text is no ``'NAME=FILE'``, or if the students
            generate different domains.
    """
    refuse_taken([Path(out, name) for name in FILES], overwrite=overwrite)
    networks = {}
    for text in students:
        name, mark, file = text.partition('=')
        if not mark or name in networks:
            raise ValueError(f'cannot read {text!r}: expected NAME=FILE, each name once')
        networks[name] = load_student(file)
    infos = [network.meta for network in networks.values()]
    domain, domains = infos[0]['domain'], infos[0]['domains']
    if generated := {info['domain'] for info in infos} - {domain}:
        raise ValueError(
            f'the students generate {domain!r} and {generated.pop()!r}: expected one domain'
        )
    cfg = read_recipe(recipe, 'test_dataloader', infos[0], demo, data_root)
    figures, protocols = score_networks(cfg, networks, domains, domain)
    *before, last = networks
    rows = {name if name in before else f'{STUDENT}, {name}': own for name, own in figures.items()}
    teachers = {name: networks[name] for name in before}
    size = cfg.test_dataloader.dataset.size
    result = build_report(teachers, networks[last], rows, protocols, size)
    result.save(Path(out))
    return result
