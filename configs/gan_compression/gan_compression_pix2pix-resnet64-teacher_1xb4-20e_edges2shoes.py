# GAN Compression, Pix2Pix, edges -> shoes: the original generator, which
# teaches the fast recipes (scripts/pix2pix/edges2shoes-r/train_full.sh).
_base_ = 'gan_compression_pix2pix-mobile64-teacher_1xb4-20e_edges2shoes.py'

model = dict(generator=dict(_delete_=True, **_base_.dense))
