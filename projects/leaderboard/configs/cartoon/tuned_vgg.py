# Tried: plain imitation, and the one VGG feature of OMGD.
_base_ = 'imitation.py'

feature = dict(type='mmgan_compress.PerceptualLoss', weight=10.0)
model = dict(distiller=dict(losses=[*_base_.model.distiller.losses, feature]))
