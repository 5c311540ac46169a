# Prune while training, cut out what is dead, train on, export:
# mmgan-compress pipeline \
#     configs/pruning/pruning_cyclegan-gradual-pipeline.py [--demo]
stages = [
    # 1: channels go step by step, in values
    dict(
        name='prune',
        run='train',
        config='pruning_cyclegan-mobile64-gradual_1xb1-200e_horse2zebra.py',
    ),
    # 2: the network becomes smaller, and its images stay
    dict(name='extract', run='prune', source='{prune}/student.pth', pruner='MaskExtraction'),
    # 3: the small network learns on from the same teacher
    dict(
        name='finetune',
        run='train',
        config='../offline/omgd_cyclegan-mobile16-offline_1xb1-200e_horse2zebra.py',
        generator='{extract}/student.pth',
        inherit=True,
    ),
    dict(name='export', run='export', source='{finetune}/student.pth'),
]
