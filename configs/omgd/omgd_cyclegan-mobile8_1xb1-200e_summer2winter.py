# OMGD, CycleGAN, summer -> winter, student "0.5x" (S8):
# OMGD/scripts/cycle_gan/summer2winter/distill_S8.sh.
_base_ = 'omgd_cyclegan-mobile12_1xb1-200e_summer2winter.py'

student_width = 8  # the teacher is that of S12
model = dict(generator=dict(base_channels=student_width))
