# GAN Slimming, CycleGAN, horse -> zebra, GS-32: stage 1, in which a copy of a
# dense generator loses channels while it imitates it. `mmgan-compress pipeline
# configs/gan_slimming/gan_slimming_cyclegan-pipeline.py` goes on: it removes
# them and fine-tunes.
_base_ = '_base_/cyclegan_slimming.py'

optim_wrapper = _base_.slimming
default_hooks = dict(slimming=_base_.soft_threshold)
train_dataloader = dict(batch_size=8)
