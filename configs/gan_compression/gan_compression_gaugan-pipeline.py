# GAN Compression, GauGAN, Cityscapes: all stages behind the teacher and the export:
# mmgan-compress pipeline \
#     configs/gan_compression/gan_compression_gaugan-pipeline.py [--demo]
start = {
    'model.generator.init_cfg': dict(
        type='Pretrained', checkpoint='{distill}/student.pth', prefix='generators.photo'
    ),
    'model.distiller.discriminator_checkpoint': '{distill}/last_checkpoint',
}
demo_start = {
    **start,
    'model.generator.init_cfg': dict(start['model.generator.init_cfg'], prefix='generators.emoji'),
    'model.distiller.start_from_teacher': False,  # but from the stage before
}
stages = [
    # 1: the full width, from the strongest channels of the teacher
    dict(
        name='distill',
        run='train',
        config='gan_compression_gaugan-mobile48-distill_8xb2-200e_cityscapes.py',
    ),
    # 2: all sub-networks at once
    dict(
        name='supernet',
        run='train',
        config='../gan_compression_gaugan.py',
        cfg_options=start,
        demo=dict(cfg_options=demo_start),
    ),
    # 3: one of them, here the published one
    dict(
        name='subnet',
        run='prune',
        source='{supernet}/student.pth',
        pruner='SubNet',
        size=256,
        options=['configuration=32-40-40-32-40-24-32-24'],
        demo=dict(options=['configuration=4-3-4-3-4-4-4-6'], size=64),
    ),
    # 4: it learns on, against the discriminator of the super-net
    dict(
        name='finetune',
        run='train',
        config='gan_compression_gaugan-mobile48-finetune_8xb2-200e_cityscapes.py',
        generator='{subnet}/student.pth',
        inherit=True,
        cfg_options={'model.distiller.discriminator_checkpoint': '{supernet}/last_checkpoint'},
    ),
    dict(name='export', run='export', source='{finetune}/student.pth'),
]
