# GCC, SRGAN, all stages and the export:
# mmgan-compress pipeline configs/gcc/gcc_srgan-pipeline.py [--demo]
generator_only = 'gcc_srgan-resnet64-generator_1xb16-130e_coco.py'
stages = [
    # 0: the teacher's generator
    dict(name='teacher', run='train', config=generator_only),
    # A: a narrow generator that becomes sparse
    dict(name='pretrain', run='train', config='gcc_srgan-resnet24-pretrain_1xb16-13e_coco.py'),
    # B: the widths that one threshold leaves inside its blocks at the paper's
    # budget, 0.20 G of thop's MACs, which counts norms: 0.1978 G here
    dict(
        name='prune',
        run='prune',
        source='{pretrain}/student.pth',
        pruner='ScaleWidths',
        budget=['macs=0.1978e9'],
        size=24,
        demo=dict(budget=['macs=0.9'], tolerance=0.06, size=16),
    ),
    # 0 of the pruned generator
    dict(name='generator', run='train', config=generator_only, generator='{prune}/student.pth'),
    # C
    dict(
        name='train',
        run='train',
        config='../gcc_srgan.py',
        generator='{generator}/student.pth',
        inherit=True,
        cfg_options={
            'model.distiller.teachers.wide': dict(
                _delete_=True, type='mmgan_compress.FromStudent', file='{teacher}/student.pth'
            )
        },
    ),
    dict(name='export', run='export', source='{train}/student.pth'),
]
