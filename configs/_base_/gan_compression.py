# What the recipes of GAN Compression share; figures without another source
# are those of the authors' scripts.
_base_ = 'losses/gan_compression_losses.py'

mobile = dict(type='mmgan_compress.SeparableResnetGenerator', norm_cfg=dict(type='IN'))
dense = dict(
    type='ResnetGenerator',
    in_channels=3,
    out_channels=3,
    base_channels=64,
    norm_cfg=dict(type='IN'),
)
supernet_hooks = dict(
    subnets=dict(type='mmgan_compress.SubnetSamplingHook', rule='uniform'),
    scores=dict(type='mmgan_compress.SubnetScoresHook'),
)

# Sub-networks that the authors published (their README and scripts).
published = dict(
    horse2zebra=dict(
        paper='24_24_24_32_20_16',
        retrained='16_16_32_16_32_32_16_16',
        fast='16_16_24_16_32_64_16_24',
    ),
    edges2shoes=dict(
        # in their code only the first block of each three has this inside;
        # here: one number for each block
        paper='32_32_40_48_40_40_48_40_40_48_40_40_16_32',
        retrained='32_32_48_32_48_48_16_16',
        fast='24_24_40_56_24_56_16_40',
    ),
    cityscapes=dict(
        paper='48_32_40_40_24_32',
        retrained='32_32_48_32_32_48_24_24',
        fast='16_24_48_56_40_48_24_16',
    ),
    maps=dict(retrained='32_32_48_32_48_32_16_16', fast='16_16_40_40_40_64_24_16'),
)

# Images (on each side) that train no super-net: mmgan-compress search scores
# its sub-networks on them. As many as in the authors' train2 (datasets/metas).
held_out = dict(
    horse2zebra=dict(hold_out=120),
    edges2shoes=dict(hold_out=2048),
    cityscapes=dict(hold_out=200, val_folder=False),  # val is the test split
    maps=dict(hold_out=300),
)

# --demo: networks like its teachers, which are plain ResNets of six blocks
demo_arch = dict(
    type='ResnetGenerator',
    in_channels=3,
    out_channels=3,
    base_channels=8,
    num_blocks=6,
    norm_cfg=dict(type='IN'),
)
demo_mobile = dict(**mobile, base_channels=8)
demo_supernet = dict(type='mmgan_compress.SuperNet', arch=demo_arch, space=[[8, 6, 4]] * 8)
demo_subnet = dict(
    type='mmgan_compress.SlimNetwork', arch=demo_arch, configuration='6_4_8_4_6_8_4_6'
)
