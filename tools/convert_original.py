"""Convert a checkpoint of an original repository for one of our networks.

    python tools/convert_original.py latest_net_G.pth generator.pth \\
        --config configs/omgd_cyclegan.py --network distiller.teacher.generator

The result is used with init_cfg=dict(type='Pretrained',
checkpoint='generator.pth'). Known: pytorch-CycleGAN-and-pix2pix, GAN
Compression, OMGD, CRD.
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmgan_compress.core.commands import one_line_errors  # noqa: E402


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
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
    parser.add_argument('--overwrite', action='store_true',
                        help='replace a file that is there')
    return parser.parse_args()


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


@one_line_errors()
def main() -> None:
    """Build the network, load into it strictly, write its state dict."""
    args = parse_args()
    # Imported late: -h and a wrong command line answer at once.
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    from mmgan_compress.core.files import refuse_taken, write_tensors
    from mmgan_compress.core.configs import find_config
    from mmgan_compress.models.original import load_original
    from mmgan_compress.registry import MODELS
    refuse_taken([args.target], [args.source, args.config], args.overwrite)
    cfg = Config.fromfile(find_config(args.config))
    init_default_scope(cfg.get('default_scope', 'mmagic'))
    network = MODELS.build(network_config(cfg.model.to_dict(), args.network))
    load_original(network, args.source, args.part)
    write_tensors(args.target, network.state_dict())
    print(f'{args.target}: {type(network).__name__}, '
          f'{len(network.state_dict())} tensors')


if __name__ == '__main__':
    main()
