# GAN Compression, Pix2Pix, map -> aerial photograph: the super-net of a
# separable ResNet.
_base_ = '../_base_/maps_compression.py'

model = dict(
    generator=dict(type='mmgan_compress.SuperNet', arch=_base_.arch, space='channels-48'),
    distiller=dict(schedule=dict(epochs=600, constant=200, block=25)),
)
default_hooks = _base_.supernet_hooks
train_dataloader = dict(dataset=_base_.held_out.maps)
val_dataloader = dict(dataset=_base_.held_out.maps)

demo = {'model.generator': _base_.demo_supernet}
