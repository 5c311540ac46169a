# GAN Compression, GauGAN, Cityscapes: the original generator, which teaches the
# fast recipes (scripts/gaugan/cityscapes/train_full.sh).
_base_ = '../_base_/gaugan.py'

model = dict(
    generator=dict(**_base_.spade, base_channels=64, spectral_norm=True),
    distiller=dict(**_base_.game),
)

# the shipped teacher is such a separable one
demo = {'model.generator.base_channels': 7}
