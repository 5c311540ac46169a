# GCC, Pix2Pix: the published code never averages the teacher's gap.
_base_ = '../gcc_pix2pix.py'

model = dict(distiller=dict(average_gap=False))
