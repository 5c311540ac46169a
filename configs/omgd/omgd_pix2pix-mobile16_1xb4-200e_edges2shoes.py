# OMGD, Pix2Pix, edges -> shoes, separable ResNet student "1.0x" (S16):
# OMGD/scripts/resnet_pix2pix/edges2shoes/distill.sh.
_base_ = '../omgd_pix2pix.py'

wide_width, deep_width, student_width = 64, 16, 16
channel_loss = dict(_base_.channel_loss, weight=100.0, layers=_base_.separable_layers)
norm_cfg = dict(type='IN')
separable = dict(type='mmgan_compress.SeparableResnetGenerator', norm_cfg=norm_cfg)
model = dict(
    generator=dict(_delete_=True, **separable, base_channels=student_width),
    distiller=dict(
        teachers=dict(
            wide=dict(_delete_=True, **separable, base_channels=wide_width),
            deep=dict(
                _delete_=True,
                type='mmgan_compress.DeepSeparableResnetGenerator',
                norm_cfg=norm_cfg,
                base_channels=deep_width,
            ),
        ),
        discriminator=dict(norm_cfg=norm_cfg, shared=3),
        losses=[*_base_.omgd_losses, channel_loss],
    ),
)
