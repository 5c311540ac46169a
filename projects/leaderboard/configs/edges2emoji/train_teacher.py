# The teachers of edges -> emoji: a wide and a deep generator, which one
# discriminator with two heads judges, from random weights.
_base_ = 'task.py'

optimizer = dict(type='Adam', lr=2e-4, betas=(0.5, 0.999))
model = dict(
    # a student is not what is wanted here: a tiny one, one cheap loss
    generator=dict(base_channels=1),
    distiller=dict(
        offline=False,
        teachers=dict(deep=_base_.deep),
        teacher_checkpoints=[],
        losses=[dict(type='mmgan_compress.SSIMLoss')],
        gan_type='hinge',
        pixel_loss_weight=100.0,
    ),
)
optim_wrapper = dict(
    teachers=dict(modules=['distiller.teachers'], optimizer=optimizer),
    discriminators=dict(modules=['distiller.discriminator'], optimizer=optimizer),
)
train_dataloader = dict(batch_size=1)
default_hooks = dict(rate=dict(minutes=90))
