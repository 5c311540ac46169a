# Plain imitation, 40 times fewer MACs than the teacher.
_base_ = 'imitation.py'

model = dict(generator=dict(base_channels=20))
