# GAN Compression (fast), MUNIT, edges -> shoes: the super-net of the separable
# generator, from nothing, taught by the original one.
# `mmgan-compress pipeline configs/gan_compression/gan_compression_munit-pipeline.py`
# has all stages.
_base_ = ['_base_/munit_compression.py', '_base_/gan_compression.py']

model = dict(
    generator=dict(type='mmgan_compress.SuperNet', arch=_base_.arch, space='munit-channels-64')
)
default_hooks = _base_.supernet_hooks

demo = {
    'model.generator': dict(
        type='mmgan_compress.SuperNet', arch=_base_.demo_munit_arch, space=[[8, 6, 4]] * 10
    ),
    # in so few steps a new way of the style into the picture is not found
    'model.distiller.start_from_teacher': True,
    'model.distiller.style_loss_weight': 20.0,
}
