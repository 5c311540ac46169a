# Tried: the pruned teacher, which also learns the one VGG feature of OMGD.
_base_ = 'prune.py'

stages = [_base_.stages[0], dict(_base_.stages[1], config='tuned_vgg.py')]
