# OMGD's losses of images: there are no layers to look into.
_base_ = ['task.py', '../../../../configs/_base_/losses/omgd_losses.py']

model = dict(distiller=dict(losses=_base_.omgd_losses))
