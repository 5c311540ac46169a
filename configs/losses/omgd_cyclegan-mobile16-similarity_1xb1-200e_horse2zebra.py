# OMGD's CycleGAN with similarity-preserving distillation (SPKD, 1907.09682)
# in place of channel distillation: between the positions of an image, as
# there is one image in a batch.
_base_ = '../omgd_cyclegan.py'

model = dict(
    distiller=dict(
        losses=[
            *_base_.omgd_losses,
            dict(
                type='mmgan_compress.SimilarityLoss',
                weight=1e3,
                over='positions',
                layers=_base_.separable_layers,
            ),
        ]
    )
)
