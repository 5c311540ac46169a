# GAN Compression, Pix2Pix, Cityscapes: the original generator, which
# teaches the fast recipes (scripts/pix2pix/cityscapes/train_full.sh). No mIoU.
_base_ = 'gan_compression_pix2pix-mobile96-teacher_1xb1-250e_cityscapes.py'

model = dict(generator=dict(_delete_=True, **_base_.dense))
