# GAN Compression, Pix2Pix, map -> aerial photograph: the original generator,
# which teaches the fast recipes (scripts/pix2pix/map2sat/train_full.sh).
_base_ = 'gan_compression_pix2pix-mobile96-teacher_1xb1-300e_maps.py'

model = dict(generator=dict(_delete_=True, **_base_.dense))
