# The pruned network with new weights: what are the teacher's worth?
_base_ = 'prune.py'

stages = [_base_.stages[0], dict(_base_.stages[1], inherit=False)]
