# GAN Compression, GauGAN, Cityscapes: the separable teacher, trained alone, with
# spectral norms (scripts/gaugan/cityscapes/train_mobile.sh).
_base_ = '../_base_/gaugan.py'

model = dict(
    generator=dict(**_base_.mobile_spade, base_channels=64, spectral_norm=True),
    distiller=dict(**_base_.game),
)

# the shipped teacher is such a separable one
demo = {'model.generator.base_channels': 7}
