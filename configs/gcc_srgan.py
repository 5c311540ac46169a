# GCC, SRGAN, x4: stage C, cooperative training. The student is not pruned
# here; `mmgan-compress pipeline gcc_srgan-pipeline.py` puts the searched one
# in its place, and lets the teacher start where the generator-only stage
# ended. Source of each figure: GCC's script and options for SRGAN.
_base_ = ['_base_/srgan.py', '_base_/losses/gcc_srgan_losses.py']

discriminator = dict(type='mmgan_compress.SRGANDiscriminator', base_channels=64)
model = dict(
    **_base_.super_resolution,
    generator=dict(**_base_.srresnet, base_channels=24),
    distiller=dict(
        type='mmgan_compress.GCCSRGAN',
        teachers=dict(wide=dict(**_base_.srresnet, base_channels=64)),
        discriminator=discriminator,
        student_discriminator=dict(
            type='mmgan_compress.GatedPatchDiscriminator',
            discriminator=dict(type='mmgan_compress.SRGANDiscriminator', base_channels=128),
            threshold=0.5,
            before_activation=True,
        ),
        # torchvision's file: https://download.pytorch.org/models/
        perceptual=dict(type='mmgan_compress.VGG19Features', weights='data/vgg19-dcbb9e9d.pth'),
        losses=[dict(**_base_.cooperative_loss, layers=_base_.srresnet_layers)],
        gan_type='vanilla',
        gan_loss_weight=1e-3,
        perceptual_loss_weight=1.0,
        pixel_loss_weight=0.0,
        schedule=dict(epochs=30, constant=16, block=1),
    ),
)

adam = _base_.adam
optim_wrapper = dict(
    constructor='MultiOptimWrapperConstructor',
    student=dict(modules=['generators', 'distiller.losses'], optimizer=adam),
    teachers=dict(modules=['distiller.teachers'], optimizer=adam),
    discriminators=dict(modules=['distiller.discriminator'], optimizer=adam),
    student_discriminators=dict(
        modules=[r'distiller\.student_discriminators\.\w+\.body'], optimizer=adam
    ),
    gates=dict(modules=[r'distiller\.student_discriminators\.\w+\.gates'], optimizer=adam),
)
# a tenth after 15 epochs (StepLR); published: the teacher's rate never falls
default_hooks = dict(
    rate=dict(
        constant=['teachers', 'discriminators'],
        steps=dict(student=0.1, student_discriminators=0.1, gates=0.1),
    )
)

demo = {
    # as the paper, it starts where the generator-only stage ended
    'model.generator': dict(
        **_base_.srresnet,
        init_cfg=dict(
            type='Pretrained', checkpoint='{data}/student_low2high.pth', prefix='generators.high'
        ),
    ),
    'model.distiller.schedule': dict(epochs=60, constant=30, block=30, iters_per_epoch=1),
    'model.generator.base_channels': 8,
    'model.generator.num_blocks': 4,
    'optim_wrapper.student.optimizer.lr?': 2e-4,
    # VGG-16's features are much larger
    'model.distiller.perceptual_loss_weight': 0.01,
    'model.distiller.pixel_loss_weight': 1.0,
}
