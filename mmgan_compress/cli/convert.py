"""Convert a checkpoint of an original repository for one of our networks.

    mmgan-compress convert latest_net_G.pth generator.pth \\
        --config configs/omgd_cyclegan.py --network distiller.teacher.generator

The result is used with init_cfg=dict(type='Pretrained',
checkpoint='generator.pth'). Known: pytorch-CycleGAN-and-pix2pix, GAN
Compression, OMGD, CRD.
"""
import argparse

from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    parser.add_argument('source', help='original state dict')
    parser.add_argument('target', help='file to write')
    parser.add_argument('--config', required=True, help='project config')
    parser.add_argument(
        '--network',
        default='generator',
        help='where cfg.model holds the config of the network, e.g. '
        'distiller.teachers.wide (default: generator, the student)')
    parser.add_argument(
        '--part', default='',
        help='which network of the source, where it holds several: a key '
        '(netG, params_ema), the beginning of its names (model.netG), or '
        'both (state_dict.model.netG)')
    options.add_overwrite(parser)
    options.add_import(parser)


def network_config(model: dict, path: str) -> dict:
    """Return the part of a model config that a dotted path names.

    Raises:
        KeyError: If it is not there; lists what is.
    """
    for key in path.split('.'):
        if not isinstance(model, dict) or key not in model:
            found = list(model) if isinstance(model, dict) else model
            raise KeyError(f'no {key!r} of --network {path} in the config; '
                           f'there is: {found}')
        model = model[key]
    return {key: model[key] for key in model if key != 'init_cfg'}


def run(args: argparse.Namespace):
    """Build the network, load into it strictly, write its state dict."""
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    from ..core.files import refuse_taken, write_tensors
    from ..core.configs import find_config
    from ..models.original import load_original
    from ..registry import MODELS
    refuse_taken([args.target], [args.source, args.config], args.overwrite)
    cfg = Config.fromfile(find_config(args.config))
    init_default_scope(cfg.get('default_scope', 'mmagic'))
    network = MODELS.build(network_config(cfg.model.to_dict(), args.network))
    load_original(network, args.source, args.part)
    write_tensors(args.target, network.state_dict())
    print(f'{args.target}: {type(network).__name__}, '
          f'{len(network.state_dict())} tensors')
