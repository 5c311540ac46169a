# GAN Compression, CycleGAN: one sub-network by itself, by default the one
# that the authors published ("retrained"). They do not fine-tune on this
# data set, where it made FID worse.
_base_ = '../_base_/cyclegan_compression.py'

model = dict(
    generator=dict(
        type='mmgan_compress.SlimNetwork',
        arch=_base_.arch,
        configuration=_base_.published.horse2zebra.retrained,
    ),
    distiller=dict(schedule=dict(epochs=200, constant=100, block=20)),
)

demo = {'model.generator': _base_.demo_subnet}
