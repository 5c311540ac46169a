# OMGD's losses on super-resolution, which is not in the paper: they compare
# images, and those may be of any size. The teacher is a generator that was
# trained before (gcc/gcc_srgan-resnet64-generator), or an SRGAN.
_base_ = ['../_base_/srgan.py', '../_base_/losses/omgd_losses.py']

channel_loss = dict(type='mmgan_compress.ChannelLoss', weight=10.0, layers=_base_.srresnet_layers)
model = dict(
    **_base_.super_resolution,
    generator=dict(**_base_.srresnet, base_channels=24),
    distiller=dict(
        type='mmgan_compress.OMGDPix2Pix',
        offline=True,
        teachers=dict(wide=dict(**_base_.srresnet, base_channels=64)),
        teacher_checkpoints=['teachers/srresnet64_coco.pth'],
        losses=[*_base_.omgd_losses, channel_loss],
        schedule=dict(epochs=30, constant=15, block=1),
    ),
)
optim_wrapper = dict(
    constructor='MultiOptimWrapperConstructor',
    student=dict(modules=['generators', 'distiller.losses'], optimizer=_base_.adam),
)
