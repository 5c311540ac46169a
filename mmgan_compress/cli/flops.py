"""Print parameters and MACs of the student and the teachers.

mmgan-compress flops configs/omgd_cyclegan.py
"""
import argparse
import contextlib
import dataclasses
import json
import sys
from pathlib import Path

from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    parser.add_argument('source', help='config (.py) or student.pth')
    options.add_size(parser)
    options.add_json(parser)
    parser.add_argument(
        '--layers', action='store_true', help='also a row per layer')
    options.add_import(parser)


def generator_configs(model: dict) -> dict:
    """Find the generators of a model config.

    Args:
        model (dict): ``cfg.model``; its ``generator`` is the student,
            ``distiller.teacher`` or ``distiller.teachers`` the teachers,
            each a generator or a model that has one.

    Returns:
        dict: Config by name, ``'student'`` first: that of the default
        domain, where they differ.
    """
    from ..core.domains import per_domain
    distiller = model.get('distiller') or {}
    teachers = dict(distiller.get('teachers') or {})
    if distiller.get('teacher'):
        teachers['teacher'] = distiller['teacher']
    students = {'student': model['generator']}
    if 'type' not in model['generator']:
        own = per_domain(model['generator'], model['reachable_domains'])
        students = {'student': own.pop(model['default_domain']),
                    **{f'student, {d}': cfg for d, cfg in own.items()}}
    # teachers that only give images have neither layers nor costs
    given = ('StoredTeacher', 'OnnxTeacher', 'CallableTeacher')
    return {
        **students,
        **{
            name: cfg.get('generator', cfg)
            for name, cfg in teachers.items()
            if not cfg['type'].endswith(given)
        }
    }


def load_networks(source: str) -> tuple[dict, int]:
    """Build the networks of a config, without weights, or load a student;
    also return the side of the training images.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the config is not that of a model.
    """
    if Path(source).suffix != '.py':
        from ..models.student import load_student
        student = load_student(source)
        return {'student': student}, student.meta['image_size']
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    from ..core.configs import find_config
    from ..engine.channels import fit_channels
    from ..registry import MODELS
    cfg = Config.fromfile(find_config(source))
    fit_channels(cfg)
    model = cfg.get('model') or {}
    if 'generator' not in model:
        raise ValueError(f'cfg.model of {source} has no generator, got '
                         f'{list(model)}: expected the config of a model')
    init_default_scope(cfg.get('default_scope', 'mmagic'))
    networks = {}
    for name, generator in generator_configs(model.to_dict()).items():
        generator.pop('init_cfg', None)  # it may name a file
        networks[name] = MODELS.build(generator)
    data = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    return networks, data.get('size', 256)


def measure(network, size: int, with_layers: bool) -> dict:
    """Return the figures of one network for a square image."""
    import torch.nn as nn

    from ..core.complexity import count_macs, count_params
    first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    macs = count_macs(network, (1, first.in_channels, size, size))
    figures = dict(
        params=count_params(network),
        macs=macs.macs,
        macs_paper=macs.macs_paper)
    if with_layers:
        figures['layers'] = [dataclasses.asdict(row) for row in macs.layers]
    return figures


def table(networks: dict, size: int) -> str:
    """Format the figures for the console."""
    title = f'image {size}x{size}'
    rows = [f'{title:40}     params        MACs    (papers)']
    for name, figures in networks.items():
        for row in [dict(figures, name=name), *figures.get('layers', [])]:
            rows.append(f'{row["name"] or row["type"]:40}'
                        f'{row["params"] / 1e6:9.4f} M '
                        f'{row["macs"] / 1e9:9.4f} G '
                        f'{row["macs_paper"] / 1e9:9.4f} G')
    return '\n'.join(rows)


def run(args: argparse.Namespace):
    """Count and print."""
    # Libraries log to standard output; only the result may stand there.
    with contextlib.redirect_stdout(sys.stderr):
        networks, size = load_networks(args.source)
        size = args.size or size
        networks = {
            name: measure(network, size, args.layers)
            for name, network in networks.items()
        }
    if args.json:
        student = networks.pop('student')
        print(json.dumps(dict(student=student, teachers=networks), indent=2))
    else:
        print(table(networks, size))
