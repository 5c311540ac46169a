# --demo of paired recipes: edges -> 3-D emoji. What the keys mean: demo.py.
_base_ = 'demo.py'

demo_root, demo_domains = '{data}/edges2emoji', ['edges', 'emoji']
demo_teacher = dict(
    type='ResnetGenerator',
    in_channels=3,
    out_channels=3,
    num_blocks=6,
    **_base_.demo_norm,
    base_channels=20,
)
demo_emoji = dict(**_base_.demo_distance, domain='emoji')
demo_real_emoji = dict(data_root=demo_root, size=64, layout='paired', side='B')

demo = {
    '*.dataset.data_root?': demo_root,
    '*.dataset.domains?': demo_domains,
    'train_dataloader.batch_size': 4,
    'val_evaluator.metrics?': [dict(**demo_emoji, reference=dict(**demo_real_emoji, split='val'))],
    'test_evaluator.metrics?': [
        dict(**demo_emoji, reference=dict(**demo_real_emoji, split='test')),
        dict(type='mmgan_compress.PairedQuality', domain='emoji'),
    ],
    'model.related_domains': demo_domains,
    'model.distiller.teachers.wide?': demo_teacher,
    'model.distiller.teachers.deep?': dict(
        type='mmgan_compress.DeepSeparableResnetGenerator', **_base_.demo_norm, base_channels=6
    ),
    'model.distiller.discriminator?': dict(
        type='mmgan_compress.MultiHeadPatchDiscriminator',
        in_channels=6,
        base_channels=16,
        **_base_.demo_norm,
        num_heads=2,
        shared=3,
    ),
    'model.distiller.losses.*.discriminator_layers?': ['blocks.1.0', 'blocks.3.0'],
    'model.distiller.teacher_checkpoints?': [
        '{data}/teacher_edges2emoji_wide.pth',
        '{data}/teacher_edges2emoji_deep.pth',
    ],
    'model.distiller.teacher_interval?': 4,
    'model.distiller.student_discriminator.base_channels?': 16,
    'model.distiller.student_discriminator.discriminator.base_channels?': 16,
    'model.distiller.schedule': dict(epochs=700, constant=350, block=350, iters_per_epoch=1),
}
