# GAN Compression: one sub-network by itself.
_base_ = 'gan_compression_supernet.py'

default_hooks = dict(subnets=None)
