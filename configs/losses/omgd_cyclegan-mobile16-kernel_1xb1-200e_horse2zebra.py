# OMGD's CycleGAN with the global kernel alignment of CAT (2103.03467) in
# place of channel distillation.
_base_ = '../omgd_cyclegan.py'

model = dict(
    distiller=dict(
        channel=None,
        losses=[
            *_base_.imitation,
            dict(
                type='mmgan_compress.KernelAlignmentLoss',
                weight=1.,
                layers=['model.9', 'model.12', 'model.15', 'model.18'])
        ]))
