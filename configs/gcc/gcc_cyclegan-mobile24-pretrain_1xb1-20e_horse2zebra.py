# GCC, CycleGAN, stage A: an ordinary CycleGAN with an L1 penalty on the
# weights, for a tenth of the epochs.
_base_ = '../gcc_cyclegan.py'

model = dict(
    generator=dict(_delete_=True, **_base_.arch),
    distiller=dict(
        _delete_=True,
        type='mmgan_compress.AdversarialCycleGAN',
        student_discriminator=_base_.patch,
        losses=[_base_.sparsity_loss],
        schedule=dict(epochs=20, constant=10, block=5),
    ),
)

optim_wrapper = dict(_delete_=True, **_base_.playing)
default_hooks = dict(rate=dict(_delete_=True, type='mmgan_compress.ScheduledLRHook'))
