# The same student without a teacher: an ordinary CycleGAN, whose generator of
# the other direction is as small.
_base_ = 'task.py'

model = dict(
    reachable_domains=_base_.domains.reachable_domains,
    distiller=dict(
        _delete_=True,
        type='mmgan_compress.AdversarialCycleGAN',
        student_discriminator=_base_.patch,
        schedule=_base_.forever,
    ),
)
optim_wrapper = dict(
    student=dict(modules=['generators'], optimizer=dict(lr=2e-4)),
    student_discriminators=_base_.playing.student_discriminators,
)
