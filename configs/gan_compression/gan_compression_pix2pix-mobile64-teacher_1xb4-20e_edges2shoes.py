# GAN Compression, Pix2Pix, edges -> shoes: the separable teacher, an ordinary
# Pix2Pix (scripts/pix2pix/edges2shoes-r/train_mobile.sh).
_base_ = '../_base_/pix2pix_compression.py'

model = dict(
    generator=dict(**_base_.model.distiller.teachers.wide),
    distiller=dict(_delete_=True, **_base_.alone, schedule=dict(epochs=20, constant=5, block=5)),
)
