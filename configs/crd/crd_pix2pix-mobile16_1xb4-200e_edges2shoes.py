# CRD, Pix2Pix, edges -> shoes, separable ResNet student "1.0x" (S16):
# CRD/scripts/resnet_pix2pix/edges2shoes-r.
_base_ = '../crd_pix2pix.py'

norm_cfg = dict(type='IN')
separable = dict(type='mmgan_compress.SeparableResnetGenerator', norm_cfg=norm_cfg)
model = dict(
    generator=dict(_delete_=True, **separable, base_channels=16),
    distiller=dict(
        teachers=dict(wide=dict(_delete_=True, **separable, base_channels=64)),
        discriminator=dict(norm_cfg=norm_cfg),
    ),
)
