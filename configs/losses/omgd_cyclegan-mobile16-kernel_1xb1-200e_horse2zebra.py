# OMGD's CycleGAN with the global kernel alignment of CAT (2103.03467) in
# place of channel distillation.
_base_ = '../omgd_cyclegan.py'

model = dict(
    distiller=dict(
        losses=[
            *_base_.omgd_losses,
            dict(
                type='mmgan_compress.KernelAlignmentLoss',
                weight=1.0,
                layers=_base_.separable_layers,
            ),
        ]
    )
)
