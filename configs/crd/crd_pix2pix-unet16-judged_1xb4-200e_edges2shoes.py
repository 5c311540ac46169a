# CRD, Pix2Pix: the teacher's discriminator judges the student as well, as
# the paper describes and its code does in CycleGAN alone.
_base_ = '../crd_pix2pix.py'

model = dict(
    distiller=dict(
        losses=[
            *_base_.crd_losses,
            dict(type='mmgan_compress.AdversarialLoss', weight=1.0, gan_type='hinge'),
        ]
    )
)
