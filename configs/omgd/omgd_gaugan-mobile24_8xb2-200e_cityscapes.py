# OMGD's losses on label maps, which are not in the paper: they compare pictures.
# The teacher is a GauGAN that was trained before
# (gan_compression/gan_compression_gaugan-mobile64-teacher).
_base_ = ['../_base_/gaugan.py', '../_base_/losses/omgd_losses.py']

channel_loss = dict(
    type='mmgan_compress.ChannelLoss', weight=10.0, layers=['head_0', 'G_middle_1', 'up_1']
)
model = dict(
    generator=dict(**_base_.mobile_spade, base_channels=24),
    distiller=dict(
        type='mmgan_compress.OMGDPix2Pix',
        offline=True,
        teachers=dict(wide=dict(**_base_.mobile_spade, base_channels=64)),
        teacher_checkpoints=['teachers/gaugan-mobile64_cityscapes.pth'],
        losses=[*_base_.omgd_losses, channel_loss],
        schedule=dict(epochs=200, constant=100, block=10),
    ),
)
optim_wrapper = dict(
    _delete_=True, constructor='MultiOptimWrapperConstructor', student=_base_.optim_wrapper.student
)
