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
optim_wrapper = dict(
    student_discriminators=dict(
        modules=['distiller.student_discriminators'],
        optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999)),
    )
)
