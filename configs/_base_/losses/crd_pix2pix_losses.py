# CRD's losses in Pix2Pix: style and feature twice those of OMGD, relations
# summed over the batch (CRD/distillers/pix2pixbest_distiller.py).
crd_losses = [
    dict(type='mmgan_compress.RelationLoss', weight=2.5, reduction='sum'),
    dict(type='mmgan_compress.StyleLoss', weight=2e4),
    dict(type='mmgan_compress.PerceptualLoss', weight=20.0),
]
