# CRD's losses in CycleGAN: 25 for each kind of relation, style 1e4, feature
# 10, discriminator 1 (CRD/distillers/cycleganbest_distiller.py).
crd_losses = [
    dict(type='mmgan_compress.RelationLoss', weight=25.0),
    dict(type='mmgan_compress.StyleLoss', weight=1e4),
    dict(type='mmgan_compress.PerceptualLoss', weight=10.0),
    dict(type='mmgan_compress.AdversarialLoss', weight=1.0, gan_type='lsgan'),
]
