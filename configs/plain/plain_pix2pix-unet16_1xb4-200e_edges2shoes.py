# Baseline: the student of omgd_pix2pix and crd_pix2pix, without a teacher.
_base_ = '../omgd_pix2pix.py'

model = dict(
    distiller=dict(
        _delete_=True,
        type='mmgan_compress.AdversarialPix2Pix',
        student_discriminator=_base_.patch,
        gan_type='hinge',
        pixel_loss_weight=100.0,
        schedule=dict(epochs=200, constant=100, block=5),
    )
)

optim_wrapper = dict(_delete_=True, **_base_.playing)
