"""A student in, a smaller student out: what ``tools/compress.py`` does."""
import ast
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn as nn
from mmengine.config import Config

from ..core.channels import channel_map
from ..core.domains import per_domain
from ..core.resources import count_macs, count_params
from ..models.host import DistilledTranslator
from ..registry import MODELS, PRUNERS
from ..student import load_student, save_student, student_info
from ..student_config import build_generator, domain_config
from .base import Compressed, init_weights
from .budget import KINDS

RESULT = 'student.pth'


@dataclass(frozen=True)
class Source:
    """Generators to be made smaller.

    Args:
        networks (dict[str, nn.Module]): By domain.
        configs (dict[str, dict]): What builds them.
        domains (list[str]): Both domains, source first.
        default_domain (str): Domain that is generated.
        image_size (int): Side of the images that they were trained with.
        made_by (list[str]): Methods that made them.
    """
    networks: dict[str, nn.Module]
    configs: dict[str, dict]
    domains: list[str]
    default_domain: str
    image_size: int
    made_by: list[str]


def read_source(path: str) -> Source:
    """Read a student file, or build the generators of a config.

    Args:
        path (str): ``student.pth``, or the config (.py) of a translation
            model, whose generators have the weights of their ``init_cfg``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is neither.
    """
    if Path(path).suffix != '.py':
        info = student_info(path)
        reachable = info['reachable']
        return Source({d: load_student(path, d) for d in reachable},
                      {d: domain_config(info, d) for d in reachable},
                      info['domains'], info['default_domain'],
                      info['image_size'], [info['source']])
    if not Path(path).is_file():
        raise FileNotFoundError(f'no config {path!r}')
    cfg = Config.fromfile(path).to_dict()
    model = cfg.get('model') or {}
    missing = {'generator', 'related_domains', 'reachable_domains',
               'default_domain'} - set(model)
    if missing:
        raise ValueError(f'cfg.model of {path} has no {sorted(missing)}: '
                         'expected the config of a translation model')
    configs = per_domain(model['generator'], model['reachable_domains'])
    networks = {}
    for domain, config in configs.items():
        networks[domain] = build_generator(config)
        init_weights(networks[domain])
    loader = cfg.get('train_dataloader') or {}
    return Source(networks, configs, model['related_domains'],
                  model['default_domain'],
                  loader.get('dataset', {}).get('size', 256), [])


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
            raise ValueError(f'cannot read the option {text!r}: expected '
                             'KEY=VALUE')
        try:
            options[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[key] = value  # a word
    return options


def read_budgets(texts: Sequence[str], domains: Sequence[str],
                 **rest: float) -> dict[str, dict]:
    """Read budgets from the command line.

    Args:
        texts (Sequence[str]): ``'macs=0.25'`` for all domains or
            ``'zebra.macs_paper=2.4e9'`` for one.
        domains (Sequence[str]): Those that can be made smaller.
        rest: ``size`` and ``tolerance`` of all of them, see
            :class:`~mmgan_compress.compressors.budget.Budget`.

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
        try:
            budget = {kind: float(value), **rest}
        except ValueError:
            raise ValueError(
                f'cannot read the budget {text!r}: expected KIND=NUMBER or '
                f'DOMAIN.KIND=NUMBER, KIND one of {", ".join(KINDS)}'
            ) from None
        for name in [domain] if domain else domains:
            if name not in domains:
                raise ValueError(f'budget {text!r} is for {name!r}, expected '
                                 f'one of {list(domains)}')
            if name in budgets:
                raise ValueError(f'{text!r} is a second budget for {name!r}: '
                                 'leave out one')
            budgets[name] = budget
    return budgets


def compress_source(source: Source, pruner: str, budgets: dict[str, dict],
                    options: dict[str, Any]) -> dict[str, Compressed]:
    """Make generators smaller, each to its own budget.

    Args:
        source (Source): What :func:`read_source` returned.
        pruner (str): Name in the registry ``PRUNERS``.
        budgets (dict[str, dict]): Budget by domain; the others stay.
        options (dict): Further arguments of the pruner.

    Returns:
        dict[str, Compressed]: By domain.

    Raises:
        TypeError: If the pruner does not know an option or a network.
        ValueError: If there is no such pruner, or a budget cannot be met.
    """
    with PRUNERS.switch_scope_and_registry('mmgan_compress') as registry:
        if not hasattr(registry.get(pruner), 'compress'):
            known = sorted(name for name, kind in registry.module_dict.items()
                           if hasattr(kind, 'compress'))
            raise ValueError(f'no pruner {pruner!r}; registered are {known}')
        methods = {
            domain: registry.build(dict(options, type=pruner, budget=budget))
            for domain, budget in budgets.items()
        }
    return {
        domain: method.compress(source.networks[domain],
                                source.configs[domain])
        for domain, method in methods.items()
    }


def refuse_overwriting(out: Path) -> None:
    """Raise FileExistsError if a folder holds a student already."""
    if (out / RESULT).exists():
        raise FileExistsError(f'{out / RESULT} exists: name another folder '
                              'with --out, or remove it')


def write_results(out: Path, source: Source, results: dict[str, Compressed],
                  pruner: str, size: int) -> str:
    """Write the smaller student, what changed and how it was found.

    Args:
        out (Path): Folder for ``student.pth``, ``compress.md`` and
            ``compress.json``; it is made.
        source (Source): What the results were made of.
        results (dict[str, Compressed]): By domain.
        pruner (str): Name of the method.
        size (int): Side of the image that MACs are counted at.

    Returns:
        str: Content of ``compress.md``.

    Raises:
        FileExistsError: If the folder holds a student.
    """
    refuse_overwriting(out)
    out.mkdir(parents=True, exist_ok=True)
    text = '\n'.join(
        f'## {domain}: {pruner}, image {size}x{size}\n\n' +
        comparison(source.networks[domain], result.network, size)
        for domain, result in results.items())
    (out / 'compress.md').write_text(text)
    (out / 'compress.json').write_text(json.dumps(dict(
        pruner=pruner,
        domains={domain: dict(result.summary, config=result.config)
                 for domain, result in results.items()}), indent=2) + '\n')
    # last: whoever finds a student finds the rest
    _save(out / RESULT, source, results, pruner)
    return text


def comparison(before: nn.Module, after: nn.Module, size: int) -> str:
    """Set two generators side by side, layer by layer.

    Args:
        before (nn.Module): The wide network.
        after (nn.Module): What was made of it. Layers of one name share a
            row: in a U-Net that lost a level these are of another depth.
        size (int): Side of the image that MACs are counted at.

    Returns:
        str: Markdown table, totals first; ``-`` where there is no layer.
    """
    sides = [_rows(before, size), _rows(after, size)]
    head = ('channels', 'params (k)', 'MACs (M)', "MACs, papers' (M)")
    lines = ['| layer |' + ''.join(f' {name} | after |' for name in head),
             '| --- |' + ' --- |' * 2 * len(head)]
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        pairs = zip(*(side.get(name, ['-'] * len(head)) for side in sides))
        cells = [cell for pair in pairs for cell in pair]
        lines.append(f'| {name} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def _rows(network: nn.Module, size: int) -> dict[str, list[str]]:
    channels = channel_map(network)
    image = next(iter(channels.values()))[0]
    macs = count_macs(network, (1, image, size, size))

    def cells(name: str, params: int, figures: Any) -> list[str]:
        counts = ', '.join(map(str, channels.get(name, [])))
        return [counts, f'{params / 1e3:.2f}', f'{figures.macs / 1e6:.3f}',
                f'{figures.macs_paper / 1e6:.3f}']

    rows = {'total': cells('', count_params(network), macs)}
    for layer in macs.layers:
        rows[layer.name or layer.type] = cells(layer.name, layer.params,
                                               layer)
    return rows


def _save(path: Path, source: Source, results: dict[str, Compressed],
          pruner: str) -> None:
    networks = dict(source.networks)
    networks.update({d: result.network for d, result in results.items()})
    configs = dict(source.configs)
    configs.update({d: result.config for d, result in results.items()})
    with MODELS.switch_scope_and_registry('mmgan_compress'), \
            torch.device('meta'):  # for the structure, weights come below
        host = DistilledTranslator(
            generator=configs, default_domain=source.default_domain,
            reachable_domains=list(networks), related_domains=source.domains)
    host.generators.update(networks)
    default, size = networks[source.default_domain], source.image_size
    macs = count_macs(default, (1, 3, size, size))
    save_student(path, host, source=' + '.join([*source.made_by, pruner]),
                 image_size=size,
                 resources=dict(params=count_params(default), macs=macs.macs,
                                macs_paper=macs.macs_paper))
