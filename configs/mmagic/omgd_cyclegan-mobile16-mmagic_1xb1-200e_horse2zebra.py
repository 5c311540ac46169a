# OMGD, offline: mmagic's CycleGAN teaches and does not train.
_base_ = [
    '../offline/omgd_cyclegan-mobile16-offline_1xb1-200e_horse2zebra.py',
    '../_base_/mmagic_cyclegan.py',
]

channel_loss = dict(**_base_.channel_loss, target_layers=_base_.resnet_layers)
model = dict(distiller=dict(**_base_.mmagic_teacher, losses=[*_base_.omgd_losses, channel_loss]))
