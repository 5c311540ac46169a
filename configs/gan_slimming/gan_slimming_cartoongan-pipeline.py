# GAN Slimming of CartoonGAN, all stages and the export; see
# gan_slimming_cyclegan-pipeline.py.
stages = [
    dict(name='slim', run='train', config='../gan_slimming_cartoongan.py'),
    dict(name='extract', run='prune', source='{slim}/student.pth', pruner='SlimExtraction'),
    dict(
        name='finetune',
        run='train',
        config='gan_slimming_cartoongan-finetune_1xb16-200e_photos.py',
        generator='{extract}/student.pth',
        inherit=True,
        cfg_options={'model.distiller.discriminator_checkpoint': '{slim}/last_checkpoint'},
    ),
    dict(name='export', run='export', source='{finetune}/student.pth'),
]
