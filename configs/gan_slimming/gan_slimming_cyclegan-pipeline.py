# GAN Slimming, all stages and the export:
# mmgan-compress pipeline \
#     configs/gan_slimming/gan_slimming_cyclegan-pipeline.py [--demo]
stages = [
    # 1: scales go to zero
    dict(name='slim', run='train', config='../gan_slimming_cyclegan.py'),
    # 2: channels without a scale go, and the function stays
    dict(name='extract', run='prune', source='{slim}/student.pth', pruner='SlimExtraction'),
    # 3: the rest learns on, against the discriminator of stage 1
    dict(
        name='finetune',
        run='train',
        config='gan_slimming_cyclegan-finetune_1xb16-200e_horse2zebra.py',
        generator='{extract}/student.pth',
        inherit=True,
        cfg_options={'model.distiller.discriminator_checkpoint': '{slim}/last_checkpoint'},
    ),
    dict(name='export', run='export', source='{finetune}/student.pth'),
]
