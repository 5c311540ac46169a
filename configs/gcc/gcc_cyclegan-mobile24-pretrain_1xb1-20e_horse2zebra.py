# GCC, CycleGAN, stage A: an ordinary CycleGAN with an L1 penalty on the
# weights, for a tenth of the epochs. The penalty's factors by layer are
# those of GCC/models/CycleGAN.py.
_base_ = '../gcc_cyclegan.py'

model = dict(
    generator=dict(_delete_=True, **_base_.arch),
    distiller=dict(
        _delete_=True,
        type='mmgan_compress.AdversarialCycleGAN',
        student_discriminator=_base_.patch,
        losses=[
            dict(
                type='mmgan_compress.SparsityLoss',
                weight=1e-3,
                on='weight',
                factors={
                    'model.1': 2.,
                    'model.4': 2.,
                    'model.19': 1000.,
                    'model.22': 2.
                })
        ],
        schedule=dict(epochs=20, constant=10, block=5)))

optim_wrapper = dict(_delete_=True, **_base_.playing)
default_hooks = dict(
    rate=dict(_delete_=True, type='mmgan_compress.ScheduledLRHook'))
