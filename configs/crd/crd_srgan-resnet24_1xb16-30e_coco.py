# CRD's losses on super-resolution, which is not in the paper: they compare
# images, and those may be of any size. The teacher is a generator that was
# trained before (gcc/gcc_srgan-resnet64-generator), or an SRGAN.
_base_ = ['../_base_/srgan.py', '../_base_/losses/crd_pix2pix_losses.py']

model = dict(
    **_base_.super_resolution,
    generator=dict(**_base_.srresnet, base_channels=24),
    distiller=dict(
        type='mmgan_compress.CRDPix2Pix',
        offline=True,
        teachers=dict(wide=dict(**_base_.srresnet, base_channels=64)),
        teacher_checkpoints=['teachers/srresnet64_coco.pth'],
        # 64 patches, as in an image of 256 pixels
        losses=[dict(_base_.crd_losses[0], patch_size=12), *_base_.crd_losses[1:]],
        schedule=dict(epochs=30, constant=15, block=1),
    ),
)
optim_wrapper = dict(
    constructor='MultiOptimWrapperConstructor',
    student=dict(modules=['generators', 'distiller.losses'], optimizer=_base_.adam),
)

demo = {'model.distiller.losses.0.patch_size': 8}
