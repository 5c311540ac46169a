# GCC, SAGAN, stage A: an ordinary GAN with an L1 penalty on the scales of
# batch norm, for a tenth of the epochs.
_base_ = ['../_base_/sagan.py', '../_base_/losses/gcc_sagan_losses.py']

model = dict(
    **_base_.from_noise,
    generator=dict(**_base_.sagan, base_channels=48),
    distiller=dict(
        type='mmgan_compress.AdversarialSAGAN',
        student_discriminator=_base_.sagan_discriminator,
        losses=[_base_.sparsity_loss],
        gan_type='hinge',
        schedule=dict(epochs=10, constant=10, block=5),
    ),
)
optim_wrapper = dict(
    constructor='MultiOptimWrapperConstructor',
    student=dict(modules=['generators', 'distiller.losses'], optimizer=_base_.adam),
    student_discriminators=dict(
        modules=['distiller.student_discriminators'], optimizer=_base_.adam_discriminator
    ),
)
