# Stage 3: what SlimExtraction left learns on, without soft threshold. The
# pipeline puts in the narrow generator, its weights and the discriminator of
# stage 1 (distiller.discriminator_checkpoint); alone, this recipe trains the
# dense one.
_base_ = '../_base_/cyclegan_slimming.py'

model = dict(distiller=dict(start_from_teacher=False, schedule=dict(block=10)))
optim_wrapper = _base_.fine_tuning
train_dataloader = dict(batch_size=16)
