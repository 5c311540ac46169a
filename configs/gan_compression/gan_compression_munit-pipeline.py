# GAN Compression, MUNIT, edges -> shoes: all stages behind the teacher and the export:
# mmgan-compress pipeline \
#     configs/gan_compression/gan_compression_munit-pipeline.py [--demo]
stages = [
    # 1: all sub-networks at once, from nothing
    dict(name='supernet', run='train', config='../gan_compression_munit.py'),
    # 2: one of them, here the published one
    dict(
        name='subnet',
        run='prune',
        source='{supernet}/student.pth',
        pruner='SubNet',
        size=256,
        options=['configuration=16-16-16-24-56-16-40-40-32-24'],
        demo=dict(options=['configuration=4-4-6-6-8-4-6-6-6-4'], size=64),
    ),
    dict(name='export', run='export', source='{subnet}/student.pth'),
]
