# OMGD's CycleGAN with the teacher's discriminator as a perceptual network
# (DCD, 2212.14169) in place of channel distillation.
_base_ = '../omgd_cyclegan.py'

model = dict(
    distiller=dict(
        losses=[
            *_base_.omgd_losses,
            dict(
                type='mmgan_compress.DiscriminatorFeatureLoss',
                weight=1.0,
                discriminator_layers=['model.3'],
            ),
        ]
    )
)
