# GAN Compression, GauGAN, Cityscapes, before the super-net: its full width is
# distilled from the strongest channels of the teacher.
_base_ = '../_base_/gaugan_compression.py'

model = dict(
    generator=_base_.arch,
    distiller=dict(
        start_from_teacher=True,
        # the teacher's, which the student's starts from
        discriminator=_base_.discriminator,
    ),
)

demo = {
    'model.generator': _base_.demo_spade_arch,
    'model.distiller.discriminator': None,  # the demo's teacher had no opponent
}
