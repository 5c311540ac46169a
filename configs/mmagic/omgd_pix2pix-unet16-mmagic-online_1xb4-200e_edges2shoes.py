# OMGD, online: mmagic's Pix2Pix goes on training from its checkpoint, as in
# omgd_pix2pix-unet16-mmagic, and teaches meanwhile. Its GAN is mmagic's.
_base_ = '../omgd_pix2pix.py'

model = dict(
    distiller=dict(
        teachers=dict(
            _delete_=True, wide=dict(**_base_.generator, base_channels=64, use_dropout=True)
        ),
        discriminator=dict(
            _delete_=True,
            type='PatchDiscriminator',
            in_channels=6,
            base_channels=64,
            num_conv=3,
            norm_cfg=dict(type='BN'),
            init_cfg=dict(type='normal', gain=0.02),
        ),
        gan_type='vanilla',
        teacher_checkpoints=['teachers/mmagic_edges2shoes.pth'],
    )
)
