# Everything at once: the super-net, one of its sub-networks by OMGD, pruned to
# the MACs of the other students, and in 8 bits.
_base_ = ['gan_compression.py', '../pruning.py']

stages = [
    dict(_base_.stages[0], cfg_options={'default_hooks.rate.share': 0.3}),
    dict(_base_.stages[1], options=['configuration=' + '-'.join(['8'] * 8)]),
    dict(
        name='omgd',
        run='train',
        config='omgd.py',
        generator='{subnet}/student.pth',
        inherit=True,
        cfg_options={'default_hooks.rate.share': 0.4},
    ),
    dict(_base_.prune, source='{omgd}/student.pth', budget=['macs=13.53e6'], size=64),
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
