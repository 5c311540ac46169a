"""A student in, a smaller student out: what ``mmgan-compress prune`` does."""

import ast
import copy
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..core.files import refuse_taken, write_text
from ..core.messages import message_of
from ..models.student import Student
from ..registry import PRUNERS, find_pruner
from .base import Compressed
from .budget import KINDS, LATENCY
from .latency import LatencyBudget, meet_latency
from .layer_table import comparison, measure

RESULT = 'student.pth'
TABLE, FACTS = 'compress.md', 'compress.json'
FILES = (RESULT, TABLE, FACTS)


def read_options(texts: Sequence[str]) -> dict[str, Any]:
    """Read settings from the command line.

    Args:
        texts (Sequence[str]): ``'key=value'``.

    Raises:
        ValueError: If one is of another form.

    Example:
        >>> read_options(['rule=union', 'layers=[1, 2]'])
        {'rule': 'union', 'layers': [1, 2]}
    """
    options = {}
    for text in texts:
        key, mark, value = text.partition('=')
        if not mark:
            raise ValueError(f'cannot read the option {text!r}: expected KEY=VALUE')
        try:
            options[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[key] = value  # a word
    return options


def read_budgets(texts: Sequence[str], domains: Sequence[str], **rest: float) -> dict[str, dict]:
    """Read budgets from the command line.

    Args:
        texts (Sequence[str]): ``'macs=0.25'`` for all domains or
            ``'zebra.macs_paper=2.4e9'`` for one; ``'latency@onnxruntime=0.5'``
            or ``'latency@openvino=8ms'``.
        domains (Sequence[str]): Those that can be made smaller.
        rest: ``size``, ``tolerance`` and, for latencies, ``threads`` of all
            of them, see ``pruning/budget.py`` and
            ``pruning/latency.py``.

    Returns:
        dict[str, dict]: Budget by domain, as configs have it.

    Raises:
        ValueError: If one cannot be read, names no domain or a second
            budget of one.

    Example:
        >>> read_budgets(['zebra.macs=0.25'], ['horse', 'zebra'], size=64)
        {'zebra': {'macs': 0.25, 'size': 64}}
    """
    budgets: dict[str, dict] = {}
    for text in texts:
        name, _, value = text.partition('=')
        domain, _, kind = name.rpartition('.')
        latency = kind.startswith(LATENCY)
        own = {key: setting for key, setting in rest.items() if latency or key != 'threads'}
        try:
            budget = {kind: value if latency else float(value), **own}
        except ValueError:
            raise ValueError(
                f'cannot read the budget {text!r}: expected KIND=NUMBER or '
                f'DOMAIN.KIND=NUMBER, KIND one of {", ".join(KINDS)}, '
                'latency@RUNTIME'
            ) from None
        for name in [domain] if domain else domains:
            if name not in domains:
                raise ValueError(
                    f'budget {text!r} is for {name!r}, expected one of {list(domains)}'
                )
            if name in budgets:
                raise ValueError(f'{text!r} is a second budget for {name!r}: leave out one')
            budgets[name] = budget
    return budgets


def choose_domains(
    source: Student, texts: Sequence[str], domain: str | None = None, **rest: float
) -> dict[str, dict | None]:
    """Return what is made smaller, and the budget of each.

    Args:
        source (Student): What :func:`read_student` returned.
        texts (Sequence[str]): Budgets as for :func:`read_budgets`; none
            for a pruner that takes none.
        domain (str | None): This one only; all if None.
        rest: As for :func:`read_budgets`.

    Raises:
        ValueError: As :func:`read_budgets`, or if there is no such domain.
    """
    if domain and domain not in source.generators:
        raise ValueError(f'no generator for {domain!r}, choose one of {list(source.generators)}')
    chosen = [domain] if domain else list(source.generators)
    return read_budgets(texts, chosen, **rest) if texts else dict.fromkeys(chosen)


def compress_source(
    source: Student, pruner: str, budgets: dict[str, dict | None], options: dict[str, Any]
) -> dict[str, Compressed]:
    """Make generators smaller, each to its own budget.

    Args:
        source (Student): What :func:`read_student` returned.
        pruner (str): Name in the registry ``PRUNERS``.
        budgets (dict[str, dict | None]): Budget by domain, None for a
            pruner that takes none; other domains stay.
        options (dict): Further arguments of the pruner.

    Returns:
        dict[str, Compressed]: By domain.

    Raises:
        TypeError: If the pruner does not know an option or a network.
        ValueError: If there is no such pruner, if a budget is missing or
            not taken, if one cannot be met, or if the network is one that
            few pruners take: trained in 8 bits, or with random weights.
    """
    for domain, budget in budgets.items():
        _check_pair(source, domain, find_pruner(pruner, budget is not None))
    latencies = {
        domain: LatencyBudget.of(budget)
        for domain, budget in budgets.items()
        if budget and any(key.startswith(LATENCY) for key in budget)
    }

    def method(domain: str, budget: dict | None):
        own = dict(options, **(dict(budget=budget) if budget else {}))
        if isinstance(own.get('training'), Config):
            own['training'] = _training_of(own['training'], domain)
        try:
            pruning = PRUNERS.build(dict(own, type=pruner))
        except TypeError as error:
            raise TypeError(
                f'{pruner} cannot be made with {options}: {message_of(error)}'
            ) from error
        return lambda: pruning.compress(source.generators[domain], source.configs[domain])

    # all are built before the first one runs: mistakes show at once
    runs = {
        domain: method(domain, latencies[domain].macs(1.0) if domain in latencies else budget)
        for domain, budget in budgets.items()
    }
    return {
        domain: meet_latency(
            lambda budget, domain=domain: method(domain, budget)(),
            source.generators[domain],
            latencies[domain],
        )
        if domain in latencies
        else run()
        for domain, run in runs.items()
    }


def _check_pair(source: Student, domain: str, pruner: type) -> None:
    """Refuse a network that a kind of pruner can make nothing of."""
    if source.quantization and not getattr(pruner, 'takes_quantized', False):
        made_by = sorted({scales['made_by'] for scales in source.quantization.values()})
        raise ValueError(
            f'the student was trained in 8 bits ({", ".join(made_by)}): prune '
            'the network in floating point and quantize the result'
        )
    if domain in source.untrained and not getattr(pruner, 'draws_weights', False):
        raise ValueError(
            f'the generator of {domain!r} has random weights, which do not '
            'tell what can go: give a student file, or its config '
            "init_cfg=dict(type='Pretrained', checkpoint='student.pth', "
            f"prefix='generators.{domain}')"
        )


def _training_of(recipe: Config, domain: str) -> Config:
    """Return the training of the generator of a domain."""
    model = recipe.model
    if domain not in model.reachable_domains:
        raise ValueError(
            f'the training does not generate {domain!r}, but '
            f'{model.reachable_domains}: name another recipe, or one of '
            'these with --domain'
        )
    recipe = copy.deepcopy(recipe)
    recipe.model.default_domain = domain
    return recipe


def save_dense(path: Path, source: Student):
    """Write what the generators were made of as a student file."""
    _save(path, source, {}, None)


def write_results(
    out: Path,
    source: Student,
    results: dict[str, Compressed],
    pruner: str,
    size: int,
    threads: int | None = None,
    overwrite: bool = False,
) -> str:
    """Write the smaller student, what changed and how it was found.

    Args:
        out (Path): Folder for ``student.pth``, ``compress.md`` and
            ``compress.json``; it is made.
        source (Student): What the results were made of.
        results (dict[str, Compressed]): By domain.
        pruner (str): Name of the method.
        size (int): Side of the image that MACs are counted at.
        threads (int | None): That the networks are timed with.
        overwrite (bool): Whether files that are there may be replaced.

    Returns:
        str: Content of ``compress.md``.

    Raises:
        FileExistsError: If the folder holds one of these.
    """
    refuse_taken([out / name for name in FILES], overwrite=overwrite)
    times = {
        domain: measure(source.generators[domain], result.network, size, threads)
        for domain, result in results.items()
    }
    text = '\n'.join(
        f'## {domain}: {pruner}, image {size}x{size}\n\n'
        + comparison(source.generators[domain], result.network, size, times[domain])
        for domain, result in results.items()
    )
    write_text(out / TABLE, text)
    write_text(
        out / FACTS,
        json.dumps(
            dict(
                pruner=pruner,
                domains={
                    domain: dict(
                        result.summary,
                        config=result.config,
                        times=dataclasses.asdict(times[domain]),
                    )
                    for domain, result in results.items()
                },
            ),
            indent=2,
        )
        + '\n',
    )
    # last: whoever finds a student finds the rest
    _save(out / RESULT, source, results, pruner)
    return text


def _save(path: Path, source: Student, results: dict[str, Compressed], pruner: str | None) -> None:
    student = dataclasses.replace(
        source,
        generators={
            **source.generators,
            **{domain: result.network for domain, result in results.items()},
        },
        configs={**source.configs, **{domain: result.config for domain, result in results.items()}},
        source=f'{source.source} + {pruner}' if pruner else source.source,
        data={},
        quantization={},
    )  # of the network before it was pruned
    student.measure()
    student.save(path)
