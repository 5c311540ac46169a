# Plain imitation.
_base_ = 'task.py'

model = dict(distiller=dict(losses=_base_.imitation_losses))
