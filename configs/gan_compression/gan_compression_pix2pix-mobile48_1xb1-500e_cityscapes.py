# GAN Compression, Pix2Pix, Cityscapes labels -> photographs: the super-net of
# a separable ResNet. No mIoU.
_base_ = '../_base_/cityscapes_compression.py'

model = dict(
    generator=dict(
        _delete_=True, type='mmgan_compress.SuperNet', arch=_base_.arch, space='channels-48'
    ),
    distiller=dict(schedule=dict(epochs=500, constant=200, block=25)),
)
default_hooks = _base_.supernet_hooks
train_dataloader = dict(dataset=_base_.held_out.cityscapes)
val_dataloader = dict(dataset=dict(**_base_.held_out.cityscapes, split='val', max_images=None))

demo = {
    'model.generator': _base_.demo_supernet,
    # which has a val folder, and a test folder
    'train_dataloader.dataset.val_folder': True,
    'val_dataloader.dataset.val_folder': True,
}
