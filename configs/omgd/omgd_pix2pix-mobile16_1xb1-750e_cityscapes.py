# OMGD, Pix2Pix, Cityscapes labels -> photographs, separable ResNet student
# "1.0x" (S16): OMGD/scripts/resnet_pix2pix/cityscapes/distill.sh. No mIoU.
_base_ = 'omgd_pix2pix-unet16_1xb4-750e_cityscapes.py'

wide_width, deep_width, student_width = 64, 16, 16
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
        discriminator=dict(norm_cfg=norm_cfg, shared=4),
        losses=_base_.omgd_losses,
    ),
)  # lambda_CD 0

train_dataloader = dict(batch_size=1)
