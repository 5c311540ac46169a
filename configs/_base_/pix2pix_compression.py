# GAN Compression, Pix2Pix, edges -> shoes, at any stage: all but the student.
_base_ = ['pix2pix.py', 'gan_compression.py']

domain_a, domain_b = _base_.domain_a, _base_.domain_b
arch = dict(**_base_.mobile, base_channels=48)
discriminator = dict(_base_.patch, norm_cfg=dict(type='IN'))
loss = dict(**_base_.feature_map_loss, layers=_base_.separable_layers)
model = dict(
    type='mmgan_compress.DistillationModel',
    default_domain=domain_b,
    reachable_domains=[domain_b],
    related_domains=[domain_a, domain_b],
    distiller=dict(
        type='mmgan_compress.GANCompressionPix2Pix',
        offline=True,
        teachers=dict(wide=dict(**_base_.mobile, base_channels=64)),
        teacher_checkpoints=['teachers/pix2pix-mobile64_edges2shoes.pth'],
        student_discriminator=discriminator,
        gan_type='hinge',
        pixel_loss_weight=100.0,
        losses=[loss],
    ),
)
optim_wrapper = _base_.playing
# the distiller of a teacher, which trains alone
alone = dict(
    type='mmgan_compress.AdversarialPix2Pix',
    student_discriminator=discriminator,
    gan_type='hinge',
    pixel_loss_weight=100.0,
)

# the shipped one has two heads
demo = {'model.distiller.discriminator?': None}
