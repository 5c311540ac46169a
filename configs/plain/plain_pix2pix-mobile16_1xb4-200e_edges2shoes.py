# Baseline: the separable ResNet student of OMGD and CRD, without a teacher.
_base_ = 'plain_pix2pix-unet16_1xb4-200e_edges2shoes.py'

norm_cfg = dict(type='IN')
model = dict(
    generator=dict(
        _delete_=True,
        type='mmgan_compress.SeparableResnetGenerator',
        norm_cfg=norm_cfg,
        base_channels=16,
    ),
    distiller=dict(student_discriminator=dict(norm_cfg=norm_cfg)),
)
