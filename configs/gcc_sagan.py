# GCC, SAGAN, CelebA at 64 pixels: stage C, cooperative training. The student
# is not pruned here; `mmgan-compress pipeline gcc_sagan-pipeline.py` puts the
# searched one in its place. Source of each figure: GCC's script and options
# for SAGAN.
_base_ = ['_base_/sagan.py', '_base_/losses/gcc_sagan_losses.py']

model = dict(
    **_base_.from_noise,
    generator=dict(**_base_.sagan, base_channels=48),
    distiller=dict(
        type='mmgan_compress.GCCSAGAN',
        teachers=dict(wide=dict(**_base_.sagan, base_channels=64)),
        discriminator=_base_.sagan_discriminator,
        student_discriminator=dict(
            type='mmgan_compress.GatedPatchDiscriminator',
            discriminator=_base_.sagan_discriminator,
            threshold=0.5,
            before_activation=True,
        ),
        losses=[_base_.cooperative_loss],
        gan_type='hinge',
        schedule=dict(epochs=100, constant=100, block=5),
    ),
)

optim_wrapper = dict(
    constructor='MultiOptimWrapperConstructor',
    student=dict(modules=['generators', 'distiller.losses'], optimizer=_base_.adam),
    teachers=dict(modules=['distiller.teachers'], optimizer=_base_.adam),
    discriminators=dict(modules=['distiller.discriminator'], optimizer=_base_.adam_discriminator),
    student_discriminators=dict(
        modules=[r'distiller\.student_discriminators\.\w+\.body'],
        optimizer=_base_.adam_discriminator,
    ),
    gates=dict(
        modules=[r'distiller\.student_discriminators\.\w+\.gates'],
        optimizer=dict(type='Adam', lr=1e-4),
    ),
)

demo = {
    # hundreds of steps are too few for a GAN to begin: the teacher goes on, and
    # the student is drawn to its image, too (lambda_L1 of GCC's script is 0)
    'model.distiller.teacher_checkpoints': ['{data}/teacher_noise2emoji.pth'],
    'model.distiller.losses': [
        _base_.cooperative_loss,
        dict(type='mmgan_compress.PixelLoss', weight=100.0),
    ],
    'model.distiller.schedule': dict(epochs=800, constant=400, block=400, iters_per_epoch=1),
    'optim_wrapper.student.optimizer.lr': 1e-3,
}
