# GAN Compression, GauGAN, Cityscapes: one sub-network by itself, by default the
# one that the authors published ("retrained").
_base_ = '../_base_/gaugan_compression.py'

model = dict(
    generator=dict(
        type='mmgan_compress.SlimNetwork', arch=_base_.arch, configuration='32_40_40_32_40_24_32_24'
    )
)

demo = {
    'model.generator': dict(
        type='mmgan_compress.SlimNetwork',
        arch=_base_.demo_spade_arch,
        configuration='4_3_4_3_4_4_4_6',
    )
}
