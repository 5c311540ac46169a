# GAN Slimming: half of the budget for its scales, half for what is left.
# Channels without a scale go first, then the weakest ones, to the MACs of the
# other students.
_base_ = '../pruning.py'

stages = [
    dict(name='slim', run='train', config='gan_slimming_slim.py'),
    dict(name='extract', run='prune', source='{slim}/student.pth', pruner='SlimExtraction'),
    dict(_base_.prune, source='{extract}/student.pth', budget=['macs=13.53e6'], size=64),
    dict(
        name='finetune',
        run='train',
        config='gan_slimming_finetune.py',
        generator='{prune}/student.pth',
        inherit=True,
        cfg_options={'model.distiller.discriminator_checkpoint': '{slim}/final.pth'},
    ),
]
