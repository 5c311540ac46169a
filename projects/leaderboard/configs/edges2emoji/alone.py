# The same student without a teacher: an ordinary Pix2Pix.
_base_ = 'task.py'

model = dict(
    distiller=dict(
        _delete_=True,
        type='mmgan_compress.AdversarialPix2Pix',
        student_discriminator=_base_.patch,
        gan_type='hinge',
        pixel_loss_weight=100.0,
        schedule=_base_.forever,
    )
)
optim_wrapper = dict(
    student=dict(modules=['generators'], optimizer=dict(lr=1e-3)),
    student_discriminators=_base_.playing.student_discriminators,
)
