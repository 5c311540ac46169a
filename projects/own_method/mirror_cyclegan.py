_base_ = '../../configs/offline/omgd_cyclegan-mobile16-offline_1xb1-200e_horse2zebra.py'
custom_imports = dict(imports=['mmgan_compress.registry', 'own_method'])
model = dict(distiller=dict(type='mmgan_compress.MirrorDistiller', losses=_base_.omgd_losses))
