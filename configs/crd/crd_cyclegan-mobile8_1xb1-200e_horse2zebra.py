# CRD, CycleGAN, horse -> zebra, student "0.5x" (S8). Not published.
_base_ = 'crd_cyclegan-mobile12_1xb1-200e_horse2zebra.py'

model = dict(generator=dict(base_channels=8))
