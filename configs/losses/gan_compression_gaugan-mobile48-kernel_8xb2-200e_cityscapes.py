# GAN Compression's GauGAN, the stage before the super-net, with the global
# kernel alignment of CAT (2103.03467) in place of the loss of its features.
_base_ = '../gan_compression/gan_compression_gaugan-mobile48-distill_8xb2-200e_cityscapes.py'

model = dict(
    distiller=dict(
        losses=[
            dict(
                type='mmgan_compress.KernelAlignmentLoss',
                weight=1.0,
                layers=_base_.gaugan_loss.layers,
            )
        ]
    )
)
