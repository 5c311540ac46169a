# GS-8, all stages, and the 8 bits that were trained as ONNX:
# mmgan-compress pipeline \
#     configs/gan_slimming/gan_slimming_cyclegan-gs8-pipeline.py [--demo]
start = {
    'model.generator.init_cfg': dict(
        type='Pretrained', checkpoint='{dense}/student.pth', prefix='generators.zebra'
    ),
    'model.distiller.start_from_teacher': False,
    'model.distiller.discriminator_checkpoint': '{dense}/last_checkpoint',
}
demo_start = {
    **start,
    'model.generator.init_cfg': dict(start['model.generator.init_cfg'], prefix='generators.emoji'),
}
stages = [
    # 0: the dense generator learns to round
    dict(
        name='dense',
        run='train',
        config='gan_slimming_cyclegan-resnet64-dense-gs8_1xb16-200e_horse2zebra.py',
    ),
    # 1: scales go to zero
    dict(
        name='slim',
        run='train',
        config='gan_slimming_cyclegan-resnet64-gs8_1xb8-200e_horse2zebra.py',
        cfg_options=start,
        demo=dict(cfg_options=demo_start),
    ),
    # 2: channels without a scale go
    dict(name='extract', run='prune', source='{slim}/student.pth', pruner='SlimExtraction'),
    # 3: the rest learns on, against the discriminator of stage 1
    dict(
        name='finetune',
        run='train',
        config='gan_slimming_cyclegan-finetune-gs8_1xb16-200e_horse2zebra.py',
        generator='{extract}/student.pth',
        inherit=True,
        cfg_options={'model.distiller.discriminator_checkpoint': '{slim}/last_checkpoint'},
    ),
    dict(
        name='int8',
        run='quantize',
        source='{finetune}/student.pth',
        quantizer='StudentScales',
        test='gan_slimming_cyclegan-finetune-gs8_1xb16-200e_horse2zebra.py',
    ),
]
