# GAN Compression, Pix2Pix, Cityscapes: the separable teacher, an ordinary
# Pix2Pix (scripts/pix2pix/cityscapes/train_mobile.sh). No mIoU.
_base_ = '../_base_/cityscapes_compression.py'

model = dict(
    generator=dict(_delete_=True, **_base_.model.distiller.teachers.wide),
    distiller=dict(
        _delete_=True, **_base_.alone, schedule=dict(epochs=250, constant=100, block=25)
    ),
)
