# OMGD's losses in both tasks. AGD_weights 1e1, 1e4, 1e1, 1e-5 in this order:
# OMGD/distillers/multiteacher_distiller.py. Channel distillation comes on top
# with a weight that differs by recipe (lambda_CD of the scripts).
omgd_losses = [
    dict(type='mmgan_compress.SSIMLoss', weight=10.0),
    dict(type='mmgan_compress.StyleLoss', weight=1e4),
    dict(type='mmgan_compress.PerceptualLoss', weight=10.0),
    dict(type='mmgan_compress.TotalVariationLoss', weight=1e-5),
]
