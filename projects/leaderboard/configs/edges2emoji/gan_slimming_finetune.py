# GAN Slimming: what is left learns on.
_base_ = 'gan_slimming_slim.py'

model = dict(distiller=dict(start_from_teacher=False))
optim_wrapper = dict(
    student=dict(modules=['distiller.weights', 'distiller.scales', 'distiller.losses']), scales=None
)
default_hooks = dict(slimming=None)
