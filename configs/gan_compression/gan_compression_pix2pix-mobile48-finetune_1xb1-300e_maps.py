# GAN Compression, Pix2Pix, map -> aerial photograph: one sub-network by
# itself, by default the one that the authors published ("retrained").
_base_ = '../_base_/maps_compression.py'

model = dict(
    generator=dict(
        type='mmgan_compress.SlimNetwork',
        arch=_base_.arch,
        configuration=_base_.published.maps.retrained,
    ),
    distiller=dict(schedule=dict(epochs=300, constant=100, block=25)),
)

demo = {'model.generator': _base_.demo_subnet}
