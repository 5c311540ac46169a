# CRD's losses, a finished teacher.
_base_ = ['task.py', '../../../../configs/_base_/losses/crd_pix2pix_losses.py']

model = dict(distiller=dict(losses=_base_.crd_losses))
