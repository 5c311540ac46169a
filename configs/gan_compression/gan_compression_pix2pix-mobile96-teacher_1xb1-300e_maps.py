# GAN Compression, Pix2Pix, map -> aerial photograph: the separable teacher,
# an ordinary Pix2Pix (scripts/pix2pix/map2sat/train_mobile.sh).
_base_ = '../_base_/maps_compression.py'

model = dict(
    generator=dict(**_base_.model.distiller.teachers.wide),
    distiller=dict(
        _delete_=True, **_base_.alone, schedule=dict(epochs=300, constant=100, block=25)
    ),
)
