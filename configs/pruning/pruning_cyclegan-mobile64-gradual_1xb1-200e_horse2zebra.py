# Pruning while training: the student is a copy of its teacher, which does
# not train, and loses channels in ten steps until a tenth of the MACs is
# left. mmgan-compress prune --pruner MaskExtraction then cuts them out.
_base_ = '../offline/omgd_cyclegan-mobile16-offline_1xb1-200e_horse2zebra.py'

domain_b = _base_.domain_b
model = dict(
    generator=dict(
        base_channels=64,
        init_cfg=dict(
            type='Pretrained',
            checkpoint=_base_.model.distiller.teacher_checkpoints[0],
            # as mmgan-compress teachers names it
            prefix=f'teacher.generators.{domain_b}',
        ),
    )
)
custom_hooks = [
    dict(
        type='mmgan_compress.GradualPruningHook',
        pruner=dict(
            type='mmgan_compress.TorchPruner', importance='group_norm', budget=dict(macs=0.1)
        ),
        # shares of the training
        begin=0.1,
        end=0.6,
        steps=10,
    )
]
