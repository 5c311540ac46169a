# GAN Compression, CycleGAN, from the teacher to a sub-network and its ONNX:
# mmgan-compress pipeline \
#     configs/gan_compression/gan_compression_cyclegan-pipeline.py [--demo]
start = {
    'model.generator.init_cfg': dict(
        type='Pretrained', checkpoint='{distill}/student.pth', prefix='generators.zebra'
    ),
    'model.distiller.discriminator_checkpoint': '{distill}/last_checkpoint',
}
demo_start = {
    **start,
    'model.generator.init_cfg': dict(start['model.generator.init_cfg'], prefix='generators.emoji'),
}
# what the super-net starts from has not seen what it is searched on
held_out = {'train_dataloader.dataset.hold_out': 120, 'val_dataloader.dataset.hold_out': 120}
stages = [
    # 1: the full width, from the strongest channels of the teacher
    dict(
        name='distill',
        run='train',
        config='gan_compression_cyclegan-mobile32-distill_1xb1-200e_horse2zebra.py',
        cfg_options=held_out,
    ),
    # 2: all sub-networks at once
    dict(
        name='supernet',
        run='train',
        config='../gan_compression_cyclegan.py',
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
        options=['configuration=16-16-32-16-32-32-16-16'],
        demo=dict(options=['configuration=6-4-8-4-6-8-4-6'], size=64),
    ),
    dict(name='export', run='export', source='{subnet}/student.pth'),
]
