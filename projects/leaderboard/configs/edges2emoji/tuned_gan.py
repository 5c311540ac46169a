# Tried: plain imitation, against a discriminator of the student's own and with
# L1 to the truth.
_base_ = 'imitation.py'

model = dict(
    distiller=dict(
        type='mmgan_compress.AdversarialPix2Pix',
        student_discriminator=_base_.patch,
        gan_type='hinge',
        pixel_loss_weight=30.0,
    )
)
optim_wrapper = dict(student_discriminators=_base_.playing.student_discriminators)
