# What both tasks of GAN Slimming share; the paper's scripts (spec section 4).
_base_ = 'losses/gan_slimming_losses.py'

dense = dict(type='ResnetGenerator', in_channels=3, out_channels=3, base_channels=64, num_blocks=9)
# scales that can become zero
affine = dict(norm_cfg=dict(type='IN', affine=True))
learning = dict(
    offline=True,
    start_from_teacher=True,
    buffer_size=50,
    losses=_base_.gan_slimming_losses,
    schedule=dict(epochs=200, constant=200, block=20),
)

adam = dict(type='Adam', lr=1e-5, betas=(0.5, 0.999), weight_decay=1e-3)
slimming = dict(
    constructor='MultiOptimWrapperConstructor',
    student=dict(modules=['distiller.weights', 'distiller.losses'], optimizer=adam),
    scales=dict(modules=['distiller.scales'], optimizer=dict(type='SGD', lr=0.1, momentum=0.5)),
    student_discriminators=dict(modules=['distiller.student_discriminators'], optimizer=adam),
)
# ... and when the channels are gone: one optimizer for all of the student
fine_adam = dict(type='Adam', lr=1e-4, betas=(0.5, 0.999), weight_decay=1e-3)
fine_tuning = dict(
    constructor='MultiOptimWrapperConstructor',
    student=dict(
        modules=['distiller.weights', 'distiller.scales', 'distiller.losses'], optimizer=fine_adam
    ),
    student_discriminators=dict(modules=['distiller.student_discriminators'], optimizer=fine_adam),
)
soft_threshold = dict(type='mmgan_compress.SoftThresholdHook', rho=0.01)
cosine = dict(_delete_=True, type='mmgan_compress.CosineLRHook')

# --demo: the student goes on from its teacher, and its scales have hundreds
# of steps, not hundreds of epochs, to reach 0; at the published rate they
# diverge there
demo_slimming = {
    'model.distiller.schedule': dict(epochs=800, constant=800, block=400, iters_per_epoch=1),
    'default_hooks.student.since?': None,
    'default_hooks.slimming.rho?': 3.0,
    'optim_wrapper.student.optimizer.lr?': 3e-4,
    'optim_wrapper.scales.optimizer.lr?': 1e-3,
}
