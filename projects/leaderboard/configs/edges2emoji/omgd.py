# OMGD's losses and both of its teachers, which are finished.
_base_ = ['task.py', '../../../../configs/_base_/losses/omgd_losses.py']

channel_loss = dict(
    type='mmgan_compress.ChannelLoss', weight=100.0, layers='auto', teachers=['wide']
)
model = dict(
    distiller=dict(teachers=dict(deep=_base_.deep), losses=[*_base_.omgd_losses, channel_loss])
)
