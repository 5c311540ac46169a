# Tried: tuned_gan with the teacher's images remembered.
_base_ = 'tuned_gan.py'

train_dataloader = dict(dataset=dict(load_size=_base_.size))
model = dict(distiller=dict(remembered_images=2 * 2717))  # of train
