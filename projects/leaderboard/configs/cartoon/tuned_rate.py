# Tried: plain imitation, at the learning rate and the weight of colours of
# offline_cyclegan, which were tuned on its demo.
_base_ = 'imitation.py'

ssim, pixels = _base_.imitation_losses
model = dict(distiller=dict(losses=[ssim, dict(pixels, weight=200.0)]))
optim_wrapper = dict(student=dict(optimizer=dict(lr=3e-3)))
