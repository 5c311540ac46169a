# GAN Compression, CycleGAN, horse <-> zebra: the original generators, which
# teach the fast recipe (scripts/cycle_gan/horse2zebra/train_full.sh).
_base_ = 'gan_compression_cyclegan-mobile64-teacher_1xb1-200e_horse2zebra.py'

model = dict(generator=dict(_delete_=True, **_base_.dense))
