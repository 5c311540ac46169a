# Tried: plain imitation, and channel distillation from the teacher's layers.
_base_ = 'imitation.py'

channel_loss = dict(type='mmgan_compress.ChannelLoss', weight=10.0, layers='auto')
model = dict(distiller=dict(losses=[*_base_.model.distiller.losses, channel_loss]))
