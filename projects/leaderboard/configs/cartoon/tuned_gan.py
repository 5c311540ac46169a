# Tried: plain imitation, against a discriminator that tells the student's
# pictures from the teacher's.
_base_ = 'imitation.py'

model = dict(
    distiller=dict(
        type='mmgan_compress.AdversarialPix2Pix',
        student_discriminator=dict(_base_.patch, base_channels=16, norm_cfg=dict(type='IN')),
        gan_type='hinge',
        pixel_loss_weight=0.0,
    )
)
optim_wrapper = dict(student_discriminators=_base_.playing.student_discriminators)
