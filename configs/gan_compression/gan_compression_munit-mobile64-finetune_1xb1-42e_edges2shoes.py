# GAN Compression, MUNIT, edges -> shoes: one sub-network by itself, by default the
# one that the authors published. Published, it is used as it comes out of the
# super-net: to fine-tune it made FID worse.
_base_ = '../_base_/munit_compression.py'

model = dict(
    generator=dict(
        type='mmgan_compress.SlimNetwork',
        arch=_base_.arch,
        configuration='16_16_16_24_56_16_40_40_32_24',
    )
)

demo = {
    'model.generator': dict(
        type='mmgan_compress.SlimNetwork',
        arch=_base_.demo_munit_arch,
        configuration='4_4_6_6_8_4_6_6_6_4',
    )
}
