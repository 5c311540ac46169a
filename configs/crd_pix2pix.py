# CRD, Pix2Pix, edges -> shoes, U-Net student "1.0x" (S16): the paper's
# setting. Data, networks and schedule are OMGD's, without its deep teacher;
# the student's losses are not. Source of each figure:
# CRD/scripts/unet_pix2pix/edges2shoes-r.
_base_ = ['omgd_pix2pix.py', '_base_/losses/crd_pix2pix_losses.py']

model = dict(
    distiller=dict(
        _delete_=True,
        type='mmgan_compress.CRDPix2Pix',
        teachers=dict(wide=dict(**_base_.generator, base_channels=64)),
        teacher_checkpoints=[],
        discriminator=_base_.patch,
        losses=_base_.crd_losses,
        gan_type='hinge',
        pixel_loss_weight=100.0,
        teacher_interval=1,  # n_dis
        schedule=dict(epochs=200, constant=100, block=5),
    )
)

# 64 patches, as in an image of 256 pixels
demo = {'model.distiller.losses.0.patch_size': 8}
