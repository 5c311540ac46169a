# OMGD, Pix2Pix, edges -> shoes, separable ResNet student S24:
# OMGD/scripts/resnet_pix2pix/edges2shoes/distill_S24.sh. That script cannot
# start: it passes an unknown option (lambda_distill 100) and an unknown
# network. Taken here: lambda_CD 100 and mobile_deepest_resnet, as in S16.
_base_ = 'omgd_pix2pix-mobile16_1xb4-200e_edges2shoes.py'

wide_width, deep_width, student_width = 96, 24, 24
model = dict(
    generator=dict(base_channels=student_width),
    distiller=dict(
        teachers=dict(wide=dict(base_channels=wide_width), deep=dict(base_channels=deep_width))
    ),
)
