# --demo of unpaired recipes: flat -> 3-D emoji. What the keys mean: demo.py.
_base_ = 'demo.py'

demo_root, demo_domains = '{data}/flat2emoji', ['flat', 'emoji']
demo_teacher = dict(
    type='mmgan_compress.ResizeResnetGenerator', **_base_.demo_norm, num_blocks=6, base_channels=12
)
demo_emoji = dict(**_base_.demo_distance, domain='emoji')
demo_flat = dict(**_base_.demo_distance, domain='flat')
demo_real_emoji = dict(data_root=demo_root, size=64, layout='unpaired', side='B')
demo_real_flat = dict(demo_real_emoji, side='A')
demo_steps = dict(epochs=1200, constant=600, block=600, iters_per_epoch=1)

demo = {
    '*.dataset.data_root?': demo_root,
    '*.dataset.domains?': demo_domains,
    'train_dataloader.batch_size': 1,
    'train_dataloader.dataset.teacher_images?': {
        'emoji': f'{demo_root}/trainB'  # which have the names of trainA
    },
    'val_evaluator.metrics?': [dict(**demo_emoji, reference=dict(**demo_real_emoji, split='val'))],
    'test_evaluator.metrics?': [
        dict(**demo_emoji, reference=dict(**demo_real_emoji, split='test')),
        # test images are of pairs
        dict(type='mmgan_compress.PairedQuality', domain='emoji'),
    ],
    'model.related_domains': demo_domains,
    'model.distiller.teacher.default_domain?': 'emoji',
    'model.distiller.teacher.reachable_domains?': demo_domains,
    'model.distiller.teacher.related_domains?': demo_domains,
    'model.distiller.teacher.generator?': demo_teacher,
    'model.distiller.teacher.discriminator.base_channels?': 12,
    'model.distiller.teacher_checkpoints?': ['{data}/teacher_flat2emoji.pth'],
    'model.distiller.student_discriminator.base_channels?': 12,
    'model.distiller.student_discriminator.discriminator.base_channels?': 12,
    'model.distiller.schedule': demo_steps,
}
# beside a teacher that trains, and for both directions
demo_rounds = dict(epochs=160, constant=120, block=40, student_epochs=1000)
demo_both = {
    'model.reachable_domains': demo_domains,
    'val_evaluator.metrics?': [
        dict(**demo_flat, reference=dict(**demo_real_flat, split='val')),
        dict(**demo_emoji, reference=dict(**demo_real_emoji, split='val')),
    ],
    'test_evaluator.metrics?': [
        dict(**demo_flat, reference=dict(**demo_real_flat, split='test')),
        dict(**demo_emoji, reference=dict(**demo_real_emoji, split='test')),
        dict(type='mmgan_compress.PairedQuality', domain='flat'),
        dict(type='mmgan_compress.PairedQuality', domain='emoji'),
    ],
    'custom_hooks.*.metrics?': {'flat': ['flat/FD-VGG16']},
}
