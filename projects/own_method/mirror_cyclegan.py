_base_ = '../../configs/offline/omgd_cyclegan-mobile16-offline_1xb1-200e_horse2zebra.py'
custom_imports = dict(imports=['mmgan_compress.registry', 'own_method'])
model = dict(
    distiller=dict(
        type='mmgan_compress.MirrorDistiller',
        losses=[
            dict(type='mmgan_compress.SSIMLoss', weight=10.0),
            dict(type='mmgan_compress.PerceptualLoss', weight=10.0),
        ],
    )
)
