# Fast GAN Compression, GauGAN, Cityscapes: a wider super-net from nothing,
# taught by the original generator.
_base_ = '../gan_compression_gaugan.py'

model = dict(
    generator=dict(arch=dict(base_channels=64), space='spade-channels-64'),
    distiller=dict(
        teachers=dict(wide=dict(separable=False)),
        teacher_checkpoints=['teachers/gaugan-spade64_cityscapes.pth'],
        schedule=dict(epochs=400, constant=200),
    ),
)
