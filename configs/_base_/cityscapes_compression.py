# GAN Compression, Pix2Pix, Cityscapes labels -> photographs, at any stage:
# all but the student. No mIoU.
_base_ = ['../omgd/omgd_pix2pix-mobile16_1xb1-750e_cityscapes.py', 'gan_compression.py']

arch = dict(**_base_.mobile, base_channels=48)
discriminator = dict(_base_.patch, norm_cfg=dict(type='IN'))
loss = dict(**_base_.feature_map_loss, layers=_base_.separable_layers)
model = dict(
    distiller=dict(
        _delete_=True,
        type='mmgan_compress.GANCompressionPix2Pix',
        offline=True,
        teachers=dict(wide=dict(**_base_.mobile, base_channels=96)),
        teacher_checkpoints=['teachers/pix2pix-mobile96_cityscapes.pth'],
        student_discriminator=discriminator,
        gan_type='hinge',
        pixel_loss_weight=100.0,
        losses=[loss],
    )
)
optim_wrapper = dict(_delete_=True, **_base_.playing)
# the distiller of a teacher, which trains alone
alone = dict(
    type='mmgan_compress.AdversarialPix2Pix',
    student_discriminator=discriminator,
    gan_type='hinge',
    pixel_loss_weight=100.0,
)

# the shipped one has two heads
demo = {'model.distiller.discriminator?': None}
