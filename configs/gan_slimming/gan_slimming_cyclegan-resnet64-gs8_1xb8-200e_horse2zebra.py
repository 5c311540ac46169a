# GS-8: the student computes in 8 bits while it is slimmed. `levels=256` is
# the published grid; leave it out for the 255 steps of true int8. It starts as
# a dense one that computes in 8 bits (gs.py:101-109), with its discriminator:
# the last checkpoint of gan_slimming_cyclegan-resnet64-dense-gs8, which
# `mmgan-compress pipeline configs/gan_slimming/gan_slimming_cyclegan-gs8-
# pipeline.py` trains first.
_base_ = '../gan_slimming_cyclegan.py'

start = 'teachers/cyclegan-dense-gs8_horse2zebra.pth'
model = dict(
    generator=dict(
        init_cfg=dict(type='Pretrained', checkpoint=start, prefix=f'generators.{_base_.domain_b}')
    ),
    distiller=dict(
        quantize=dict(activation_max=4.0, levels=256),
        start_from_teacher=False,
        discriminator_checkpoint=start,
    ),
)
# mmgan-compress quantize then exports the 8 bits that were trained
custom_hooks = [dict(type='mmgan_compress.FakeQuantScalesHook')]

# alone: a copy of the demo's teacher, which has not learnt to round
demo = {
    'model.distiller.start_from_teacher': True,
    'model.distiller.discriminator_checkpoint': None,
}
