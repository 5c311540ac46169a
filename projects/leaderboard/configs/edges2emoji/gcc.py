# GCC's stage C: the student plays against a discriminator with gates and
# imitates features of a finished teacher and of its discriminator.
_base_ = ['task.py', '../../../../configs/_base_/losses/gcc_pix2pix_losses.py']

# at full weight it matches features before it makes images (see the demo)
loss = dict(
    _base_.cooperative_loss,
    weight=0.1,
    layers='auto',
    discriminator_layers=['blocks.1.0', 'blocks.3.0'],
)
model = dict(
    distiller=dict(
        type='mmgan_compress.GCCPix2Pix',
        student_discriminator=dict(
            type='mmgan_compress.GatedPatchDiscriminator', discriminator=_base_.patch, threshold=0.5
        ),
        losses=[loss],
        gan_type='hinge',
        pixel_loss_weight=100.0,
    )
)
optim_wrapper = dict(**_base_.gated)
