# GAN Compression, Pix2Pix, edges -> shoes: the super-net of a separable
# ResNet. `mmgan-compress pipeline gan_compression_pix2pix-pipeline.py`
# has all stages.
_base_ = '_base_/pix2pix_compression.py'

model = dict(
    generator=dict(type='mmgan_compress.SuperNet', arch=_base_.arch, space='channels-48'),
    distiller=dict(schedule=dict(epochs=40, constant=10, block=5)),
)
default_hooks = _base_.supernet_hooks
train_dataloader = dict(dataset=_base_.held_out.edges2shoes)
val_dataloader = dict(dataset=_base_.held_out.edges2shoes)

demo = {'model.generator': _base_.demo_supernet}
