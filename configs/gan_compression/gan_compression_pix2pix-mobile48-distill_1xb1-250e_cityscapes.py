# GAN Compression, Pix2Pix, Cityscapes, before the super-net: its full width
# is distilled from the strongest channels of the teacher. No mIoU.
_base_ = '../_base_/cityscapes_compression.py'

model = dict(
    generator=dict(_delete_=True, **_base_.arch),
    distiller=dict(
        start_from_teacher=True,
        # the teacher's, which the student's starts from
        discriminator=_base_.discriminator,
        schedule=dict(epochs=250, constant=100, block=25),
    ),
)

demo = {'model.generator': _base_.demo_arch}
