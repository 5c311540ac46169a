# Networks of Pix2Pix, on edges2shoes.
_base_ = 'edges2shoes.py'

unet = dict(in_channels=3, out_channels=3, norm_cfg=dict(type='BN'))
generator = dict(type='UnetGenerator', **unet, num_down=8)
patch = dict(
    type='PatchDiscriminator',
    in_channels=6,
    base_channels=128,
    num_conv=3,
    norm_cfg=dict(type='BN'),
    init_cfg=dict(type='normal', gain=0.02),
)
