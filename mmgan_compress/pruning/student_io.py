"""The generators that are to be made smaller."""
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import torch.nn as nn

from ..core.domains import per_domain
from ..core.configs import find_config, read_config
from ..models.frozen_teacher import brings_weights
from ..models.quantization import KEY
from ..models.student import load_student, student_info
from ..models.student_config import build_generator, domain_config
from .base import init_weights


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
        imports (list[str]): Modules that a config imports for them.
        quantized (str | None): What trained them in 8 bits.
        drawn (list[str]): Domains whose weights are random.
    """
    networks: dict[str, nn.Module]
    configs: dict[str, dict]
    domains: list[str]
    default_domain: str
    image_size: int
    made_by: list[str]
    imports: list[str] = field(default_factory=list)
    quantized: Optional[str] = None
    drawn: list[str] = field(default_factory=list)


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
                      info['image_size'], [info['source']],
                      quantized=_quantized_by(info))
    cfg = read_config(find_config(path)).to_dict()
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
                  loader.get('dataset', {}).get('size', 256), [],
                  (cfg.get('custom_imports') or {}).get('imports', []),
                  drawn=[domain for domain, network in networks.items()
                         if not brings_weights(network)])


def _quantized_by(info: dict) -> Optional[str]:
    """Return what trained a student in 8 bits, if anything did."""
    return ', '.join(sorted({scales['made_by'] for scales in
                             info.get(KEY, {}).values()})) or None
