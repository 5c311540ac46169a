# TorchPruner: the teacher's weakest channels go, to the student's MACs, and
# what is left imitates the teacher.
stages = [
    dict(
        name='prune',
        run='prune',
        source='work_dirs/elpv/teacher-0/student.pth',
        pruner='TorchPruner',
        options=['importance=magnitude'],
        budget=['macs=0.0587'],
        size=64,
    ),
    dict(
        name='finetune',
        run='train',
        config='imitation.py',
        generator='{prune}/student.pth',
        inherit=True,
    ),
]
