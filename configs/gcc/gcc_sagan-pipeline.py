# GCC, SAGAN, all stages and the export:
# mmgan-compress pipeline configs/gcc/gcc_sagan-pipeline.py [--demo]
stages = [
    # A: a narrow generator that becomes sparse, in an ordinary GAN
    dict(name='pretrain', run='train', config='gcc_sagan-attention48-pretrain_1xb64-10e_celeba.py'),
    # B: the widths that one threshold leaves. The paper's budget of 0.016 G
    # is thop's, which sees 0.0190 G of this generator's 0.1294 G
    dict(
        name='prune',
        run='prune',
        source='{pretrain}/student.pth',
        pruner='ScaleWidths',
        budget=['macs=0.1087e9'],
        tolerance=0.06,  # published: 0.001 G of it
        demo=dict(budget=['macs=0.66']),
    ),
    # C
    dict(name='train', run='train', config='../gcc_sagan.py', generator='{prune}/student.pth'),
    dict(name='export', run='export', source='{train}/student.pth'),
]
