# CRD's losses, a finished teacher.
_base_ = ['task.py', '../../../../configs/_base_/losses/crd_pix2pix_losses.py']

# 64 patches, as in an image of 256 pixels
relation = dict(_base_.crd_losses[0], patch_size=8)
model = dict(distiller=dict(losses=[relation, *_base_.crd_losses[1:]]))
