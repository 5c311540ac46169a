# GCC, SRGAN, stage A: the generator alone, with an L1 penalty on the scales
# of batch norm, for a tenth of the epochs. (The published code never adds
# the penalty.)
_base_ = ['gcc_srgan-resnet64-generator_1xb16-130e_coco.py', '../_base_/losses/gcc_srgan_losses.py']

model = dict(
    generator=dict(base_channels=24),
    distiller=dict(
        losses=[dict(type='mmgan_compress.PixelLoss', weight=1.0), _base_.sparsity_loss],
        schedule=dict(epochs=13, constant=13, block=1),
    ),
)
