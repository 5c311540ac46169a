# GAN Compression without a search: half of the budget for the super-net, half
# for the sub-network that has the widths of the other students.
stages = [
    dict(name='supernet', run='train', config='gan_compression_supernet.py'),
    dict(
        name='subnet',
        run='prune',
        source='{supernet}/student.pth',
        pruner='SubNet',
        size=64,
        options=['configuration=' + '-'.join(['6'] * 8)],
    ),
    dict(
        name='finetune',
        run='train',
        config='gan_compression_subnet.py',
        generator='{subnet}/student.pth',
        inherit=True,
        cfg_options={'model.distiller.discriminator_checkpoint': '{supernet}/final.pth'},
    ),
]
