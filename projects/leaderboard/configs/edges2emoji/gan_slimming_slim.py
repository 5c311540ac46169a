# GAN Slimming: channels of a copy of the teacher go to zero. The rates are
# those of gan_slimming_pix2pix's demo: hundreds of steps have to do what
# hundreds of epochs do in the paper.
_base_ = ['task.py', '../../../../configs/_base_/losses/gan_slimming_losses.py']

adam = dict(type='Adam', lr=3e-4, betas=(0.5, 0.999), weight_decay=1e-3)
model = dict(
    generator=dict(_delete_=True, **dict(_base_.wide, norm_cfg=dict(type='IN', affine=True))),
    distiller=dict(
        type='mmgan_compress.GANSlimmingPix2Pix',
        start_from_teacher=True,
        discriminator=None,
        student_discriminator=_base_.patch,
        buffer_size=50,
        losses=_base_.gan_slimming_losses,
    ),
)
optim_wrapper = dict(
    student=dict(modules=['distiller.weights', 'distiller.losses'], optimizer=dict(adam)),
    scales=dict(modules=['distiller.scales'], optimizer=dict(type='SGD', lr=1e-3, momentum=0.5)),
    student_discriminators=dict(modules=['distiller.student_discriminators'], optimizer=adam),
)
default_hooks = dict(
    rate=dict(share=0.5), slimming=dict(type='mmgan_compress.SoftThresholdHook', rho=3.0)
)
