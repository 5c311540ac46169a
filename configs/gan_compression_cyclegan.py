# GAN Compression, CycleGAN, horse -> zebra: the super-net of a separable
# ResNet. `mmgan-compress pipeline gan_compression_cyclegan-pipeline.py`
# distils its start before and cuts a sub-network out behind.
_base_ = '_base_/cyclegan_compression.py'

model = dict(
    generator=dict(type='mmgan_compress.SuperNet', arch=_base_.arch, space='channels-32'),
    distiller=dict(schedule=dict(epochs=400, constant=200, block=20)),
)
default_hooks = _base_.supernet_hooks
train_dataloader = dict(dataset=_base_.held_out.horse2zebra)
val_dataloader = dict(dataset=_base_.held_out.horse2zebra)

demo = {'model.generator': _base_.demo_supernet}
