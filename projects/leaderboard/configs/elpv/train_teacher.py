# The teacher of mono -> poly: a CycleGAN, from random weights.
_base_ = 'task.py'

optimizer = dict(type='Adam', lr=2e-4, betas=(0.5, 0.999))
model = dict(
    generator=dict(base_channels=1),  # no student is wanted here, and none trains
    distiller=dict(
        offline=False,
        teacher_checkpoints=[],
        losses=[dict(type='mmgan_compress.SSIMLoss')],
        schedule=dict(student_epochs=1),  # behind the teacher's, which never end
    ),
)
optim_wrapper = dict(
    teachers=dict(modules=['distiller.teacher.generators'], optimizer=optimizer),
    discriminators=dict(modules=['distiller.teacher.discriminators'], optimizer=optimizer),
)
default_hooks = dict(rate=dict(minutes=90))
