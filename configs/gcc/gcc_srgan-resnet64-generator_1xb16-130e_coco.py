# GCC, SRGAN, stage 0: a generator trains alone, on the squared distance to
# the truth. So begin the teacher and, narrower, the student.
_base_ = ['../_base_/srgan.py']

model = dict(
    **_base_.super_resolution,
    generator=dict(**_base_.srresnet, base_channels=64),
    distiller=dict(
        type='mmgan_compress.PairedOnlineDistiller',
        offline=True,
        teachers=dict(truth=dict(type='mmgan_compress.TruthTeacher')),
        losses=[dict(type='mmgan_compress.PixelLoss', weight=1.0)],
        schedule=dict(epochs=130, constant=130, block=5),
    ),
)
optim_wrapper = dict(
    constructor='MultiOptimWrapperConstructor',
    student=dict(modules=['generators'], optimizer=_base_.adam),
)

demo = {
    'train_dataloader.batch_size': 8,
    'model.distiller.schedule': dict(epochs=800, constant=400, block=200, iters_per_epoch=1),
}
