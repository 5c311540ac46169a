# As the authors' script: on this set the student and its discriminator start
# from random weights, though the rate stays at 1e-5.
_base_ = 'gan_slimming_cyclegan-resnet64_1xb8-200e_summer2winter.py'

model = dict(distiller=dict(start_from_teacher=False))
