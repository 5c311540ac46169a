# Stage 3: what SlimExtraction left learns on, without soft threshold. The
# pipeline puts in the narrow generator, its weights and the discriminator of
# stage 1 (distiller.discriminator_checkpoint); alone, this recipe trains the
# dense one.
_base_ = '../_base_/cyclegan_slimming.py'

model = dict(
    distiller=dict(start_from_teacher=False, schedule=dict(block=10)))
adam = dict(_base_.adam, lr=1e-4)
optim_wrapper = dict(
    constructor='MultiOptimWrapperConstructor',
    student=dict(
        modules=[
            'distiller.weights', 'distiller.scales', 'distiller.terms'
        ],
        optimizer=adam),
    student_discriminators=dict(
        modules=['distiller.student_discriminators'], optimizer=adam))
train_dataloader = dict(batch_size=16)
