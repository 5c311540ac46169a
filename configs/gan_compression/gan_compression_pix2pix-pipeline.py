# GAN Compression, Pix2Pix, all stages and the export:
# mmgan-compress pipeline \
#     configs/gan_compression/gan_compression_pix2pix-pipeline.py [--demo]
start = {
    'model.generator.init_cfg': dict(
        type='Pretrained', checkpoint='{distill}/student.pth', prefix='generators.shoes'
    ),
    'model.distiller.discriminator_checkpoint': '{distill}/last_checkpoint',
}
demo_start = {
    **start,
    'model.generator.init_cfg': dict(start['model.generator.init_cfg'], prefix='generators.emoji'),
}
# what the super-net starts from has not seen what it is searched on
held_out = {'train_dataloader.dataset.hold_out': 2048, 'val_dataloader.dataset.hold_out': 2048}
stages = [
    # 1: the full width, from the strongest channels of the teacher
    dict(
        name='distill',
        run='train',
        config='gan_compression_pix2pix-mobile48-distill_1xb4-20e_edges2shoes.py',
        cfg_options=held_out,
    ),
    # 2: all sub-networks at once
    dict(
        name='supernet',
        run='train',
        config='../gan_compression_pix2pix.py',
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
        options=['configuration=32-32-48-32-48-48-16-16'],
        demo=dict(options=['configuration=6-4-8-4-6-8-4-6'], size=64),
    ),
    # 4: it learns on, against the discriminator of the super-net
    dict(
        name='finetune',
        run='train',
        config='gan_compression_pix2pix-mobile48-finetune_1xb4-20e_edges2shoes.py',
        generator='{subnet}/student.pth',
        inherit=True,
        cfg_options={'model.distiller.discriminator_checkpoint': '{supernet}/last_checkpoint'},
    ),
    dict(name='export', run='export', source='{finetune}/student.pth'),
]
