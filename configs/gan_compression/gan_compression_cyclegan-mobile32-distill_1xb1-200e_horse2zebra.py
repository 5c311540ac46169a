# GAN Compression, CycleGAN, before the super-net: its full width is distilled
# from the strongest channels of the teacher.
_base_ = '../_base_/cyclegan_compression.py'

model = dict(
    generator=_base_.arch,
    distiller=dict(start_from_teacher=True, schedule=dict(epochs=200, constant=100, block=20)),
)

demo = {'model.generator': _base_.demo_arch}
