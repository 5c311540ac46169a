# GAN Compression, CycleGAN, horse -> zebra, at any stage: all but the student.
_base_ = ['cyclegan.py', 'gan_compression.py']

domain_a, domain_b = _base_.domain_a, _base_.domain_b
arch = dict(**_base_.mobile, base_channels=32)
loss = dict(_base_.feature_map_loss, weight=0.01, layers=_base_.separable_layers)
model = dict(
    type='mmgan_compress.DistillationModel',
    default_domain=domain_b,
    reachable_domains=[domain_b],
    related_domains=[domain_a, domain_b],
    distiller=dict(
        type='mmgan_compress.GANCompressionCycleGAN',
        offline=True,
        teacher=_base_.teacher,
        teacher_checkpoints=['teachers/cyclegan-mobile64_horse2zebra.pth'],
        student_discriminator=_base_.teacher.discriminator,
        gan_type='lsgan',
        pixel_loss_weight=10.0,
        losses=[loss],
    ),
)
optim_wrapper = _base_.playing
