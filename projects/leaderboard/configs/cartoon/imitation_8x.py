# Plain imitation, 8 times fewer MACs than the teacher.
_base_ = 'imitation.py'

model = dict(generator=dict(base_channels=48))
