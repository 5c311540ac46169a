# OMGD's CycleGAN with wavelet distillation (2203.06321) in place of channel
# distillation: the high bands of the images.
_base_ = '../omgd_cyclegan.py'

model = dict(
    distiller=dict(
        losses=[*_base_.omgd_losses, dict(type='mmgan_compress.WaveletLoss', weight=0.4, levels=4)]
    )
)
