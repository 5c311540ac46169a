# Fast GAN Compression, CycleGAN: a wider super-net from nothing, taught by
# the original generator.
_base_ = '../gan_compression_cyclegan.py'

model = dict(
    generator=dict(arch=dict(base_channels=64), space='channels-64-cycleGAN'),
    distiller=dict(
        teacher=dict(generator=dict(_delete_=True, **_base_.dense)),
        teacher_checkpoints=['teachers/cyclegan-dense_horse2zebra.pth'],
        losses=[dict(_base_.loss, target_layers=_base_.resnet_layers)],
    ),
)

demo = {'model.generator': dict(arch=dict(_delete_=True, **_base_.demo_mobile))}
