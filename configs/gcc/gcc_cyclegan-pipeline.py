# GCC, CycleGAN, all three stages and the export:
# mmgan-compress pipeline configs/gcc/gcc_cyclegan-pipeline.py [--demo]
stages = [
    # A: an ordinary CycleGAN that becomes sparse
    dict(
        name='pretrain',
        run='train',
        config='gcc_cyclegan-mobile24-pretrain_1xb1-20e_horse2zebra.py',
    ),
    # B: the widths that one threshold leaves of the last (scripts/cyclegan/
    # train.sh: model_20.pth) at the paper's budgets, at the size they are
    # quoted for (published, they are measured at 286)
    dict(
        name='prune',
        run='prune',
        source='{pretrain}/student.pth',
        pruner='GCCWidths',
        budget=['zebra.macs_paper=2.4e9', 'horse.macs_paper=2.7e9'],
        size=256,
        demo=dict(
            budget=['emoji.macs_paper=0.7', 'flat.macs_paper=0.8'], size=64, options=['floor=4']
        ),
    ),
    # C: networks of these widths, from new weights
    dict(name='train', run='train', config='../gcc_cyclegan.py', generator='{prune}/student.pth'),
    dict(name='export', run='export', source='{train}/student.pth'),
]
