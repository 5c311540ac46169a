# Everything at once: the super-net, one of its sub-networks by OMGD, pruned to
# the MACs of the other students, and in 8 bits.
stages = [
    dict(
        name='supernet',
        run='train',
        config='gan_compression_supernet.py',
        cfg_options={'default_hooks.rate.share': 0.3},
    ),
    dict(
        name='subnet',
        run='prune',
        source='{supernet}/student.pth',
        pruner='SubNet',
        size=64,
        options=['configuration=' + '-'.join(['8'] * 8)],
    ),
    dict(
        name='omgd',
        run='train',
        config='omgd.py',
        generator='{subnet}/student.pth',
        inherit=True,
        cfg_options={'default_hooks.rate.share': 0.4},
    ),
    dict(
        name='prune',
        run='prune',
        source='{omgd}/student.pth',
        pruner='TorchPruner',
        options=['importance=magnitude'],
        budget=['macs=13.53e6'],
        size=64,
    ),
    dict(
        name='qat',
        run='train',
        config='imitation.py',
        generator='{prune}/student.pth',
        inherit=True,
        cfg_options={
            'default_hooks.rate.share': 0.3,
            'default_hooks.quantization': dict(type='mmgan_compress.QuantizationAwareHook'),
        },
    ),
]
