"""Networks of a student file in a recipe.

A recipe names the file, and what the networks are is read when the recipe
is::

    model = dict(
        generator=dict(type='mmgan_compress.FromStudent', file='student.pth'),
        distiller=dict(teacher=dict(
            type='mmgan_compress.FrozenTeacher', file='dense.pth')))
"""

from collections.abc import Sequence

from mmengine.config import Config, ConfigDict
from mmengine.model import BaseModule

from ..registry import MODELS
from .slim import SLIM
from .student import student_info
from .student_config import domain_config

FROM_STUDENT = 'mmgan_compress.FromStudent'


def resolve_students(cfg: Config):
    """Put networks of student files in place of the files' names.

    They are ``FromStudent`` as ``model.generator`` or as one of
    ``model.distiller.teachers``, with the argument ``weights=False`` for
    networks of new weights, and ``FrozenTeacher(file=...)``.

    Args:
        cfg (Config): A recipe; changed in place.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no student file, or lacks a domain.
    """
    model = _dict(cfg, 'model')
    domains = list(model.get('reachable_domains') or [])
    generator, distiller = _dict(model, 'generator'), _dict(model, 'distiller')
    if generator.get('type') == FROM_STUDENT:
        model.generator = networks_of(
            generator.get('file'), domains, generator.get('weights', True)
        )
    teacher, teachers = _dict(distiller, 'teacher'), _dict(distiller, 'teachers')
    if teacher.get('file'):
        teacher.generators = networks_of(teacher.pop('file'), domains)
    for name in teachers:
        config = _dict(teachers, name)
        if config.get('type') == FROM_STUDENT:
            domain = model.default_domain
            teachers[name] = networks_of(config.get('file'), [domain])[domain]


def _dict(config, key: str) -> dict:
    """Return a part of a config, empty if it is no dict."""
    part = config.get(key)
    return part if isinstance(part, dict) else {}


def networks_of(file: str, domains: Sequence[str], weights: bool = True) -> ConfigDict:
    """Return the configs of a student's networks.

    Args:
        file (str): Student file.
        domains (Sequence[str]): What they generate.
        weights (bool): Whether they start from those of the file.

    Returns:
        ConfigDict: By domain; without weights one config where all networks
        of the file have it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no student file, or lacks a domain.
    """
    info = student_info(file)
    if 'generators' not in info and not weights:
        return ConfigDict(info['generator'])
    if not set(domains) <= set(info['reachable']):
        raise ValueError(
            f'{file} has networks for {info["reachable"]}, but the recipe '
            f'trains {list(domains)}: use a recipe of the same domains'
        )
    configs = {domain: domain_config(info, domain) for domain in domains}
    return ConfigDict(
        {
            domain: with_weights(config, file, domain) if weights else config
            for domain, config in configs.items()
        }
    )


def with_weights(config: dict, file: str, domain: str) -> dict:
    """Return the config of a network that starts from a file's weights.

    Args:
        config (dict): Of the network.
        file (str): Student file.
        domain (str): Domain that it generates there.
    """
    kind = MODELS.get(config['type'])
    if config['type'].split('.')[-1] != SLIM and not (
        isinstance(kind, type) and issubclass(kind, BaseModule)
    ):
        # it may take no init_cfg
        config = dict(type=f'mmgan_compress.{SLIM}', arch=config)
    return dict(
        config, init_cfg=dict(type='Pretrained', checkpoint=file, prefix=f'generators.{domain}')
    )
