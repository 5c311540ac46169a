"""Prune a student and write the recipe that fine-tunes it."""
import copy
from argparse import Namespace
from pathlib import Path

import torch

from ..core.files import refuse_taken
from ..pruning import workflow
from ..pruning.student_io import read_source
from . import finetune, finetune_losses
from .runner_builder import load_config

DENSE = 'dense.pth'


def prune(args: Namespace) -> str:
    """Prune a student, write the result and the recipe that fine-tunes it.

    Args:
        args (Namespace): Command line of ``mmgan-compress prune``.

    Returns:
        str: Table of the layers.

    Raises:
        FileExistsError: If results are there already.
        ValueError: If an option does not fit the student or the others.
    """
    refuse_taken(
        [Path(args.out, name) for name in (
            *workflow.FILES, finetune.NAME,
            *([DENSE] if _is_config(args.source) else []))],
        [args.source], args.overwrite)
    settings = workflow.read_options(args.options)
    if 'budget' in settings:
        raise ValueError('a budget is no option: give it by --budget')
    if args.training:
        settings['training'] = load_config(Namespace(
            config=args.training, demo=args.demo, data_root=args.data_root,
            cfg_options=None))
    source = read_source(args.source)
    size = args.size or source.image_size
    budgets = workflow.choose_domains(source, args.budget, args.domain,
                                      size=size, tolerance=args.tolerance,
                                      threads=args.threads)
    teachers = {domain: (source.networks[domain], source.configs[domain])
                for domain in budgets}
    recipe = _choose_recipe(args, source, teachers)
    torch.manual_seed(args.seed or 0)
    results = workflow.compress_source(source, args.pruner, budgets, settings)
    table = workflow.write_results(Path(args.out), source, results,
                                   args.pruner, size, args.threads,
                                   args.overwrite)
    if _is_config(args.source):  # its weights as a file, for the teacher
        workflow.save_dense(Path(args.out, DENSE), source)
    if recipe is not None:
        notes = _fit(recipe, args, {
            domain: (result.network, result.config)
            for domain, result in results.items()}, teachers)
        for note in notes:
            print(f'finetune.py: {note}')
        finetune.write_finetune(
            Path(args.out), recipe, 'Made by mmgan-compress prune: '
            f'{args.source}, {args.pruner} {" ".join(args.budget)}', notes)
    return table


def _choose_recipe(args: Namespace, source, teachers: dict):
    """Read the recipe for finetune.py; what does not fit shows before the
    work. Without a recipe that was asked for, there need not be one."""
    recipe = finetune.read_recipe(
        args.finetune or finetune.default_recipe(
            source.made_by, source.networks[source.default_domain]),
        source.domains, list(teachers), source.image_size, args.demo,
        args.data_root)
    finetune.add_imports(recipe, [*source.imports, *args.imports])
    try:
        _fit(copy.deepcopy(recipe), args, teachers, teachers)
    except ValueError as error:
        if args.finetune:
            raise
        print(f'there will be no finetune.py: {error}')
        return None
    return recipe


def _is_config(source: str) -> bool:
    """Tell whether the networks come from a config."""
    return Path(source).suffix == '.py'


def _fit(recipe, args: Namespace, students: dict,
        teachers: dict) -> list[str]:
    """Put networks, by domain with their configs, into a recipe.

    Returns:
        list[str]: What of the recipe is left out.
    """
    out = Path(args.out)
    if not args.finetune and None in (
            finetune_losses.feature_taps(net) for net, _ in teachers.values()):
        finetune_losses.leave_out_taps(recipe)
    dense = str(out / DENSE) if _is_config(args.source) else args.source
    return finetune.fit_networks(
        recipe, students, teachers,
        finetune.beside(out, str(out / 'student.pth')),
        finetune.beside(out, dense))
