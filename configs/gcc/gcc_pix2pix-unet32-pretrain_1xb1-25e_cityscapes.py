# GCC, Pix2Pix, stage A: an ordinary Pix2Pix with an L1 penalty on the scales
# of batch norm, for a tenth of the epochs.
_base_ = '../gcc_pix2pix.py'

model = dict(
    generator=dict(base_channels=32),
    distiller=dict(
        _delete_=True,
        type='mmgan_compress.AdversarialPix2Pix',
        student_discriminator=_base_.patch,
        losses=[_base_.sparsity_loss],
        gan_type='hinge',
        pixel_loss_weight=100.0,
        schedule=dict(epochs=25, constant=10, block=5),
    ),
)

optim_wrapper = dict(_delete_=True, **_base_.playing)
default_hooks = dict(rate=dict(_delete_=True, type='mmgan_compress.ScheduledLRHook'))

demo = {
    'model.distiller.losses.0.weight': 1e-2,
    'model.distiller.losses.0.on': 'weight',  # instance norm has no scale
}
