# TorchPruner and fine-tuning, to the MACs of the other students.
_base_ = '../pruning.py'

source = 'work_dirs/edges2emoji/teacher-0/student.pth'
stages = [dict(_base_.prune, source=source, budget=['macs=0.0587'], size=64), _base_.finetune]
