# Tried: plain imitation, and the teacher runs once for each image and its mirror:
# no random crops, and several times as many steps in the same minutes.
_base_ = 'imitation.py'

train_dataloader = dict(dataset=dict(load_size=_base_.size))
model = dict(distiller=dict(remembered_images=2 * 2717))  # of train
