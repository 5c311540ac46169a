# Networks of Pix2Pix, on edges2shoes.
_base_ = 'edges2shoes.py'

unet = dict(in_channels=3, out_channels=3, norm_cfg=dict(type='BN'))
generator = dict(type='UnetGenerator', **unet)
# ReLUs of the down path at levels 2 and 4, of the up path at 3 and 1
taps = [
    'model.model.1.model.1.model.0.activate',
    'model.model.1.model.1.model.1.model.1.model.0.activate',
    'model.model.1.model.1.model.1.model.2.activate',
    'model.model.1.model.2.activate'
]
patch = dict(
    type='PatchDiscriminator',
    in_channels=6,
    base_channels=128,
    num_conv=3,
    norm_cfg=dict(type='BN'),
    init_cfg=dict(type='normal', gain=0.02))
