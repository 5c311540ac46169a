# GAN Compression, Pix2Pix, map -> aerial photograph: the separable teacher,
# an ordinary Pix2Pix (scripts/pix2pix/map2sat/train_mobile.sh).
_base_ = '../_base_/maps_compression.py'

model = dict(
    generator=dict(**_base_.model.distiller.teachers.wide),
    distiller=dict(
        _delete_=True,
        type='mmgan_compress.AdversarialPix2Pix',
        student_discriminator=_base_.model.distiller.student_discriminator,
        gan_type=_base_.model.distiller.gan_type,
        pixel_loss_weight=_base_.model.distiller.pixel_loss_weight,
        schedule=dict(epochs=300, constant=100, block=25)))
demo = dict(_delete_=True)
