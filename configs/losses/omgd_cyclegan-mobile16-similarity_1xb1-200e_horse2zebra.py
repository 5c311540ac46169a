# OMGD's CycleGAN with similarity-preserving distillation (SPKD, 1907.09682)
# in place of channel distillation: between the positions of an image, as
# there is one image in a batch.
_base_ = '../omgd_cyclegan.py'

model = dict(
    distiller=dict(
        channel=None,
        losses=[
            *_base_.imitation,
            dict(
                type='mmgan_compress.SimilarityLoss',
                weight=1e3,
                over='positions',
                layers=['model.9', 'model.12', 'model.15', 'model.18'])
        ]))
