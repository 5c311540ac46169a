# Tried: plain imitation, and features of the teacher's discriminator in place
# of VGG's: they cost as much as the student itself.
_base_ = 'imitation.py'

features = dict(
    type='mmgan_compress.DiscriminatorFeatureLoss',
    weight=10.0,
    discriminator_layers=['blocks.1.0', 'blocks.3.0'],
)
model = dict(distiller=dict(losses=[*_base_.model.distiller.losses, features]))
