# GAN Compression, CycleGAN, horse <-> zebra: the separable teacher, an
# ordinary CycleGAN (scripts/cycle_gan/horse2zebra/train_mobile.sh).
_base_ = ['../_base_/cyclegan_both.py', '../_base_/gan_compression.py']

domain_a, domain_b = _base_.domain_a, _base_.domain_b
model = dict(
    type='mmgan_compress.DistillationModel',
    generator=dict(**_base_.mobile, base_channels=64),
    default_domain=domain_b,
    reachable_domains=[domain_a, domain_b],
    related_domains=[domain_a, domain_b],
    distiller=dict(
        type='mmgan_compress.AdversarialCycleGAN',
        student_discriminator=_base_.teacher.discriminator,
        schedule=dict(epochs=200, constant=100, block=20),
    ),
)
optim_wrapper = _base_.playing
