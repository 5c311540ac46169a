# TorchPruner: the teacher's weakest channels go, to the student's MACs, and
# what is left imitates the teacher.
prune = dict(name='prune', run='prune', pruner='TorchPruner', options=['importance=magnitude'])
finetune = dict(
    name='finetune',
    run='train',
    config='imitation.py',
    generator='{prune}/student.pth',
    inherit=True,
)
