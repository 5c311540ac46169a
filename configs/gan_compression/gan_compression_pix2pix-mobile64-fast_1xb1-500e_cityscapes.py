# Fast GAN Compression, Pix2Pix, Cityscapes: a wider super-net from nothing,
# taught by the original generator. No mIoU.
_base_ = 'gan_compression_pix2pix-mobile48_1xb1-500e_cityscapes.py'

model = dict(
    generator=dict(arch=dict(base_channels=64), space='channels-64-pix2pix'),
    distiller=dict(
        teachers=dict(wide=dict(_delete_=True, **_base_.dense)),
        teacher_checkpoints=['teachers/pix2pix-dense_cityscapes.pth'],
        losses=[dict(_base_.loss, target_layers=_base_.resnet_layers)],
    ),
)

demo = {'model.generator': dict(arch=dict(_delete_=True, **_base_.demo_mobile))}
