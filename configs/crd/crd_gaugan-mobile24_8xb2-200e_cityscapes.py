# CRD's losses on label maps, which are not in the paper: they compare pictures.
# The teacher is a GauGAN that was trained before
# (gan_compression/gan_compression_gaugan-mobile64-teacher).
_base_ = ['../_base_/gaugan.py', '../_base_/losses/crd_pix2pix_losses.py']

model = dict(
    generator=dict(**_base_.mobile_spade, base_channels=24),
    distiller=dict(
        type='mmgan_compress.CRDPix2Pix',
        offline=True,
        teachers=dict(wide=dict(**_base_.mobile_spade, base_channels=64)),
        teacher_checkpoints=['teachers/gaugan-mobile64_cityscapes.pth'],
        losses=[*_base_.crd_losses],
        schedule=dict(epochs=200, constant=100, block=10),
    ),
)
optim_wrapper = dict(
    _delete_=True, constructor='MultiOptimWrapperConstructor', student=_base_.optim_wrapper.student
)

# 64 patches, as in an image of 256 pixels
demo = {'model.distiller.losses.0.patch_size': 8}
