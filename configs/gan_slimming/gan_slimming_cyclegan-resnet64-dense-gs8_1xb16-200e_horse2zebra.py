# GS-8, before stage 1: a copy of the teacher learns to compute in 8 bits, with
# all of its channels (pretrained_dense_model_quant of the authors, which they
# give as a file: how it was trained is not published, and the figures here
# are those of stage 3).
_base_ = 'gan_slimming_cyclegan-finetune-gs8_1xb16-200e_horse2zebra.py'

model = dict(distiller=dict(start_from_teacher=True))
