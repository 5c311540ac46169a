# GCC, Pix2Pix, all three stages and the export:
# mmgan-compress pipeline configs/gcc/gcc_pix2pix-pipeline.py [--demo]
stages = [
    # A: an ordinary Pix2Pix that becomes sparse
    dict(name='pretrain', run='train', config='gcc_pix2pix-unet32-pretrain_1xb1-25e_cityscapes.py'),
    # B: the widths that one threshold leaves of the best at the paper's
    # budget (scripts/pix2pix/train.sh: model_best_BtoA.pth)
    dict(
        name='prune',
        run='prune',
        source='{pretrain}/student_best.pth',
        pruner='GCCWidths',
        budget=['macs_paper=3.0e9'],
        options=['rule=union'],  # of a ResNet, such as the demo's
        size=256,
        demo=dict(budget=['macs_paper=0.75'], size=64, options=['rule=union', 'floor=4']),
    ),
    # C: a network of these widths, from new weights
    dict(name='train', run='train', config='../gcc_pix2pix.py', generator='{prune}/student.pth'),
    dict(name='export', run='export', source='{train}/student.pth'),
]
