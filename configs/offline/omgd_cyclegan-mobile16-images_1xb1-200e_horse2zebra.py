# OMGD without any network to learn from: the teacher is a folder of images,
# one of the same name for each image of horses, made by whatever can
# (mmgan-compress images). Losses compare images: there are no layers to
# look into.
_base_ = '../omgd_cyclegan.py'

model = dict(
    distiller=dict(
        _delete_=True,
        type='mmgan_compress.OMGDCycleGAN',
        teacher=dict(type='mmgan_compress.StoredTeacher'),
        losses=_base_.omgd_losses,
        offline=True,
        schedule=dict(epochs=200, constant=100, block=10),
    )
)
# no other network than the student learns
optim_wrapper = dict(
    _delete_=True,
    constructor='MultiOptimWrapperConstructor',
    student=dict(modules=['generators'], optimizer=_base_.optimizer),
)
custom_hooks = []
train_dataloader = dict(dataset=dict(teacher_images=dict(zebra='teachers/horse2zebra')))

demo = {'model.distiller.schedule': dict(_delete_=True, **_base_.demo_steps)}
