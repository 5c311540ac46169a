# GAN Compression's loss for GauGAN (lambda_distill 10), on the outputs of whole
# blocks.
gaugan_loss = dict(
    type='mmgan_compress.FeatureMapLoss',
    weight=10.0,
    layers=['head_0', 'G_middle_1', 'up_1'],
    xavier=True,
)
