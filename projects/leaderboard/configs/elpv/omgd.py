# OMGD's losses, a finished teacher.
_base_ = ['task.py', '../../../../configs/_base_/losses/omgd_losses.py']

channel_loss = dict(type='mmgan_compress.ChannelLoss', weight=500.0, layers='auto')
model = dict(distiller=dict(losses=[*_base_.omgd_losses, channel_loss]))
