# --demo of images from noise: the faces of 3-D emoji, 64 pixels. What the keys
# mean: demo.py.
_base_ = 'demo.py'

demo_emoji = dict(
    **_base_.demo_distance,
    domain='emoji',
    reference=dict(data_root='{data}/faces', side='', split='train', size=64),
)
demo = {
    '*.dataset.data_root?': '{data}/faces',
    '*.dataset.domains?': ['noise', 'emoji'],
    '*.dataset.crop?': None,
    '*.dataset.samples?': 200,
    'train_dataloader.batch_size': 8,
    'val_evaluator.metrics': [demo_emoji],
    'test_evaluator.metrics': [demo_emoji],
    'model.related_domains': ['noise', 'emoji'],
    'model.generator.base_channels?': 12,
    'model.distiller.losses.*.layers?': ['model.1', 'model.5'],
    'model.distiller.teachers.wide.base_channels?': 16,
    'model.distiller.discriminator.base_channels?': 24,
    'model.distiller.student_discriminator.base_channels?': 16,
    'model.distiller.student_discriminator.discriminator.base_channels?': 16,
    'model.distiller.schedule': dict(epochs=300, constant=150, block=150, iters_per_epoch=1),
    'optim_wrapper.student_discriminators.optimizer.lr?': 4e-4,
}
