# OMGD, CycleGAN, summer -> winter, student "0.75x" (S12):
# OMGD/scripts/cycle_gan/summer2winter/distill_S12.sh.
_base_ = 'omgd_cyclegan-mobile16_1xb1-200e_summer2winter.py'

teacher_width, student_width = 48, 12
model = dict(
    generator=dict(base_channels=student_width),
    distiller=dict(teacher=dict(generator=dict(base_channels=teacher_width))),
)
