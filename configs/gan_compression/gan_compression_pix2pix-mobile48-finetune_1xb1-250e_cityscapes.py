# GAN Compression, Pix2Pix, Cityscapes: one sub-network by itself, by default
# the one that the authors published ("retrained"). No mIoU.
_base_ = '../_base_/cityscapes_compression.py'

model = dict(
    generator=dict(
        _delete_=True,
        type='mmgan_compress.SlimNetwork',
        arch=_base_.arch,
        configuration=_base_.published.cityscapes.retrained,
    ),
    distiller=dict(schedule=dict(epochs=250, constant=100, block=25)),
)

demo = {'model.generator': _base_.demo_subnet}
