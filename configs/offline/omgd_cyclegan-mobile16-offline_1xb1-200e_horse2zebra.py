# OMGD's CycleGAN, offline: the teacher is a checkpoint and never trains. It
# may be mmagic's own of a CycleGAN, or `mmgan-compress teachers` cuts it out
# of a run.
_base_ = '../omgd_cyclegan.py'

model = dict(
    distiller=dict(
        offline=True,
        # every epoch is the student's
        schedule=dict(_delete_=True, epochs=200, constant=100, block=10),
        teacher_checkpoints=['teachers/cyclegan_horse2zebra.pth'],
    )
)
# no other network than the student learns
optim_wrapper = dict(
    _delete_=True,
    constructor='MultiOptimWrapperConstructor',
    student=dict(modules=['generators', 'distiller.losses'], optimizer=_base_.optimizer),
)
custom_hooks = []  # nothing to select

demo = {'model.distiller.schedule': dict(_delete_=True, **_base_.demo_steps)}
