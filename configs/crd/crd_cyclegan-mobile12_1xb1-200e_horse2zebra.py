# CRD, CycleGAN, horse -> zebra, student "0.75x" (S12). Not published: the
# widths of OMGD's student and teacher of that size.
_base_ = '../crd_cyclegan.py'

model = dict(
    generator=dict(base_channels=12), distiller=dict(teacher=dict(generator=dict(base_channels=48)))
)
