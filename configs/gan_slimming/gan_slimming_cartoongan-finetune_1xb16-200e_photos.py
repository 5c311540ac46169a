# Stage 3 of CartoonGAN's: what SlimExtraction left learns on, as
# gan_slimming_cyclegan-finetune does.
_base_ = '../_base_/cartoon_slimming.py'

model = dict(distiller=dict(start_from_teacher=False, schedule=dict(block=10)))
optim_wrapper = _base_.fine_tuning
train_dataloader = dict(batch_size=16)
