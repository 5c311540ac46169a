# OMGD, online: mmagic's CycleGAN goes on training from its checkpoint, as in
# omgd_cyclegan-mobile16-mmagic, and teaches meanwhile.
_base_ = ['../omgd_cyclegan.py', '../_base_/mmagic_cyclegan.py']

channel_loss = dict(**_base_.channel_loss, target_layers=_base_.resnet_layers)
model = dict(distiller=dict(**_base_.mmagic_teacher, losses=[*_base_.omgd_losses, channel_loss]))
