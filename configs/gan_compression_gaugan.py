# GAN Compression, GauGAN, Cityscapes: the super-net of the separable generator.
# `mmgan-compress pipeline configs/gan_compression/gan_compression_gaugan-pipeline.py`
# has all stages.
_base_ = '_base_/gaugan_compression.py'

model = dict(
    generator=dict(type='mmgan_compress.SuperNet', arch=_base_.arch, space='spade-channels-48')
)
default_hooks = _base_.supernet_hooks

demo = {
    'model.generator': dict(
        type='mmgan_compress.SuperNet', arch=_base_.demo_spade_arch, space=[[6, 4, 3]] * 8
    ),
    # in the place of the stage before it
    'model.distiller.start_from_teacher': True,
}
