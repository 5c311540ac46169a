# OMGD, Pix2Pix, Cityscapes labels -> photographs, U-Net student "0.75x"
# (S12): OMGD/scripts/unet_pix2pix/cityscapes/distill_S12.sh. No mIoU.
_base_ = 'omgd_pix2pix-unet16_1xb4-750e_cityscapes.py'

wide_width, deep_width, student_width = 48, 12, 12
model = dict(
    generator=dict(base_channels=student_width),
    distiller=dict(
        teachers=dict(wide=dict(base_channels=wide_width), deep=dict(base_channels=deep_width)),
        discriminator=dict(base_channels=96),
    ),
)
