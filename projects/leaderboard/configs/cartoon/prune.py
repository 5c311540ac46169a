# TorchPruner and fine-tuning, to the MACs of the other students.
_base_ = '../pruning.py'

source = 'teachers/cartoongan-hayao.pth'
stages = [dict(_base_.prune, source=source, budget=['macs=0.0573'], size=128), _base_.finetune]
