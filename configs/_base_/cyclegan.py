# A CycleGAN of separable ResNets on horse2zebra, to be a teacher.
_base_ = 'horse2zebra.py'

domain_a, domain_b = _base_.domain_a, _base_.domain_b
generator = dict(type='mmgan_compress.SeparableResnetGenerator', norm_cfg=dict(type='IN'))
teacher = dict(
    type='mmgan_compress.CycleGANTeacher',
    generator=dict(**generator, base_channels=64),
    discriminator=dict(
        type='PatchDiscriminator',
        in_channels=3,
        base_channels=64,
        num_conv=3,
        norm_cfg=dict(type='IN'),
        init_cfg=dict(type='normal', gain=0.02),
    ),
    default_domain=domain_b,
    reachable_domains=[domain_a, domain_b],
    related_domains=[domain_a, domain_b],
    data_preprocessor=dict(type='DataPreprocessor', data_keys=[]),
    buffer_size=50,
    # lambda_identity 0.5 is a share of lambda 10
    loss_config=dict(cycle_loss_weight=10.0, id_loss_weight=5.0),
)
# optimizers of a student beside it
optimizer = _base_.optimizer
teaching = dict(
    constructor='MultiOptimWrapperConstructor',
    student=dict(modules=['generators', 'distiller.losses'], optimizer=optimizer),
    teachers=dict(modules=['distiller.teacher.generators'], optimizer=optimizer),
    discriminators=dict(modules=['distiller.teacher.discriminators'], optimizer=optimizer),
)
