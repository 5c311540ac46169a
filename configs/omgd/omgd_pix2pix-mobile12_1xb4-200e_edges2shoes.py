# OMGD, Pix2Pix, edges -> shoes, separable ResNet student "0.75x" (S12):
# OMGD/scripts/resnet_pix2pix/edges2shoes/distill_S12.sh.
_base_ = 'omgd_pix2pix-mobile16_1xb4-200e_edges2shoes.py'

wide_width, deep_width, student_width = 48, 12, 12
model = dict(
    generator=dict(base_channels=student_width),
    distiller=dict(
        teachers=dict(wide=dict(base_channels=wide_width), deep=dict(base_channels=deep_width)),
        discriminator=dict(base_channels=96),
        losses=[*_base_.omgd_losses, dict(_base_.channel_loss, weight=1000.0)],
    ),
)
