# GAN Compression, Pix2Pix: one sub-network by itself, by default the one that
# the authors published ("retrained").
_base_ = '../_base_/pix2pix_compression.py'

model = dict(
    generator=dict(
        type='mmgan_compress.SlimNetwork',
        arch=_base_.arch,
        configuration=_base_.published.edges2shoes.retrained,
    ),
    distiller=dict(schedule=dict(epochs=20, constant=5, block=5)),
)

demo = {'model.generator': _base_.demo_subnet}
