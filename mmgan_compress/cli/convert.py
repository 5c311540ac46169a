r"""Convert a checkpoint of an original repository, or of mmagic.

    mmgan-compress convert latest_net_G.pth generator.pth \
        --config configs/omgd_cyclegan.py --network distiller.teacher.generator

The result is used with init_cfg=dict(type='Pretrained',
checkpoint='generator.pth'). Known: pytorch-CycleGAN-and-pix2pix, GAN
Compression, OMGD, CRD. Of MUNIT's two auto-encoders the first has the content
encoder of what translates, --rest names the other one.

    mmgan-compress convert iter_270000.pth teachers/cyclegan.pth --bgr

turns all networks of mmagic's CycleGAN or Pix2Pix, which are for BGR images,
to RGB. The result goes into a recipe as distiller.teacher_checkpoints, see
configs/mmagic.
"""

import argparse

from ..core.files import refuse_taken, write_tensors
from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    add = parser.add_argument
    add('source', help='original state dict')
    add('target', help='file to write')
    add('--config', help='project config')
    add('--bgr', action='store_true', help='of mmagic: reverse the channels; needs no --config')
    add(
        '--network',
        default='generator',
        help='where cfg.model holds the config of the network, e.g. distiller.teachers.wide '
        '(default: generator, the student)',
    )
    add(
        '--part',
        default='',
        help='which network of the source, where it holds several: a key (netG, params_ema), '
        'the beginning of its names (model.netG), or both (state_dict.model.netG)',
    )
    add(
        '--rest',
        help='of MUNIT: the auto-encoder that draws; of the source only the content encoder is '
        'taken then',
    )
    options.add(parser, 'overwrite', 'import')


def run(args: argparse.Namespace):
    """Convert the checkpoint."""
    from ..models.original import convert_original, to_rgb

    if args.bgr == bool(args.config) or (args.bgr and args.rest):
        raise ValueError(
            'give either --config, for a checkpoint of an '
            'original repository, or --bgr, for one of mmagic'
        )
    if args.bgr:
        refuse_taken([args.target], [args.source], args.overwrite)
        tensors = to_rgb(args.source)
        write_tensors(args.target, dict(state_dict=tensors))
        print(f'{args.target}: {len(tensors)} tensors, for RGB images')
        return
    network = convert_original(
        args.source, args.target, args.config, args.network, args.part, args.overwrite, args.rest
    )
    print(f'{args.target}: {type(network).__name__}, {len(network.state_dict())} tensors')
