"""Prune a student and write the recipe that fine-tunes it."""

from argparse import Namespace
from pathlib import Path

import torch
from mmengine.config import Config

from ..core.files import refuse_taken
from ..core.zoo import find_student
from ..models.student import Student, read_student
from ..pruning import workflow
from . import finetune
from .runner_builder import load_config

DENSE = 'dense.pth'  # the network before pruning, if a config gave it


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
    args.source = str(find_student(args.source))  # finetune.py names it as the teacher
    written = [*workflow.FILES, finetune.NAME, *([DENSE] if _is_config(args.source) else [])]
    refuse_taken([Path(args.out, name) for name in written], [args.source], args.overwrite)
    settings = workflow.read_options(args.options)
    if 'budget' in settings:
        raise ValueError('a budget is no option: give it by --budget')
    if args.training:
        recipe = Namespace(config=args.training, demo=args.demo, data_root=args.data_root)
        settings['training'] = load_config(recipe)
    source = read_student(args.source)
    size = args.size or source.image_size
    budgets = workflow.choose_domains(
        source, args.budget, args.domain, size=size, tolerance=args.tolerance, threads=args.threads
    )
    teachers = {domain: (source.generators[domain], source.configs[domain]) for domain in budgets}
    recipe, notes = _choose_recipe(args, source, teachers)
    torch.manual_seed(args.seed or 0)
    results = workflow.compress_source(source, args.pruner, budgets, settings)
    table = workflow.write_results(
        Path(args.out), source, results, args.pruner, size, args.threads, args.overwrite
    )
    if _is_config(args.source):  # its weights as a file, for the teacher
        workflow.save_dense(Path(args.out, DENSE), source)
    if recipe is not None:
        for note in notes:
            print(f'finetune.py: {note}')
        made = f'{args.source}, {args.pruner} {" ".join(args.budget)}'
        title = f'Made by mmgan-compress prune: {made}'
        imports = [*source.imports, *args.imports]
        finetune.write_finetune(Path(args.out), recipe, title, notes, imports)
    return table


def _choose_recipe(
    args: Namespace, source: Student, teachers: dict
) -> tuple[Config | None, list[str]]:
    """Return the recipe for finetune.py and what is left out of it, before
    the work. If no recipe was asked for, none need fit: then it is None.
    """
    network, size = source.generators[source.default_domain], args.size or source.image_size
    name = args.finetune or finetune.default_recipe([source.source], network, size)
    if name is None:
        print(
            'there will be no finetune.py: no recipe trains such a generator with a teacher '
            'alone, name one: --finetune. For images from noise, '
            'configs/gcc/gcc_sagan-pipeline.py prunes a generator and trains it'
        )
        return None, []
    recipe = finetune.read_recipe(
        name, source.domains, list(teachers), size, args.demo, args.data_root
    )
    out = Path(args.out)
    dense = str(out / DENSE) if _is_config(args.source) else args.source
    try:
        return recipe, finetune.fit_networks(
            recipe,
            teachers,
            finetune.beside(out, str(out / 'student.pth')),
            finetune.beside(out, dense),
        )
    except ValueError as error:
        if args.finetune:
            raise
        print(f'there will be no finetune.py: {error}')
        return None, []


def _is_config(source: str) -> bool:
    """Tell whether the networks come from a config."""
    return Path(source).suffix == '.py'
