# OMGD, Pix2Pix, edges -> shoes, U-Net student "1.0x" (S16): the paper's
# setting. Source of each figure:
# OMGD/scripts/unet_pix2pix/edges2shoes/distill.sh.
_base_ = ['_base_/pix2pix.py', '_base_/losses/omgd_losses.py']

domain_a, domain_b = _base_.domain_a, _base_.domain_b
wide_width, deep_width, student_width = 64, 16, 16
channel_loss = dict(
    type='mmgan_compress.ChannelLoss', weight=10.0, layers=_base_.unet_layers, teachers=['wide']
)

model = dict(
    type='mmgan_compress.DistillationModel',
    generator=dict(**_base_.generator, base_channels=student_width),
    default_domain=domain_b,
    reachable_domains=[domain_b],
    related_domains=[domain_a, domain_b],
    distiller=dict(
        type='mmgan_compress.OMGDPix2Pix',
        teachers=dict(
            wide=dict(**_base_.generator, base_channels=wide_width),
            deep=dict(
                type='mmgan_compress.DeepUnetGenerator', **_base_.unet, base_channels=deep_width
            ),
        ),
        teacher_checkpoints=[],  # they learn beside the student
        discriminator=dict(
            type='mmgan_compress.MultiHeadPatchDiscriminator',
            in_channels=6,
            base_channels=128,
            norm_cfg=dict(type='BN'),
            num_heads=2,
            shared=5,
        ),
        losses=[*_base_.omgd_losses, channel_loss],
        gan_type='hinge',
        pixel_loss_weight=100.0,
        teacher_interval=1,  # n_dis
        schedule=dict(epochs=200, constant=100, block=5),
    ),
)

optimizer = _base_.optimizer
optim_wrapper = dict(
    constructor='MultiOptimWrapperConstructor',
    student=dict(modules=['generators', 'distiller.losses'], optimizer=optimizer),
    teachers=dict(modules=['distiller.teachers'], optimizer=optimizer),
    discriminators=dict(modules=['distiller.discriminator'], optimizer=optimizer),
)
