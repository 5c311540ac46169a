# --demo of images with styles: edges -> 3-D emoji, in many colourings. What the
# keys mean: demo.py.
_base_ = 'demo.py'

demo_root, demo_domains = '{data}/edges2emoji', ['edges', 'emoji']
demo_emoji = dict(**_base_.demo_distance, domain='emoji')
demo_real_emoji = dict(data_root=demo_root, size=64, layout='paired', side='B')
demo_diversity = dict(type='mmgan_compress.StyleDiversity', domain='emoji')
demo_munit = dict(type='mmgan_compress.MUNITGenerator', mlp_channels=64, num_blocks=2)
demo_munit_arch = dict(**demo_munit, base_channels=8, separable=True)

demo = {
    '*.dataset.data_root?': demo_root,
    '*.dataset.domains?': demo_domains,
    '*.dataset.hold_out?': 0,
    'train_dataloader.batch_size': 1,
    'val_evaluator.metrics?': [
        dict(**demo_emoji, reference=dict(**demo_real_emoji, split='val')),
        demo_diversity,
    ],
    'test_evaluator.metrics?': [
        dict(**demo_emoji, reference=dict(**demo_real_emoji, split='test')),
        demo_diversity,
    ],
    'model.related_domains': demo_domains,
    'model.generator.mlp_channels?': 64,
    'model.generator.num_blocks?': 2,
    'model.distiller.student_discriminator.base_channels?': 12,
    'model.distiller.teachers.wide?': dict(**demo_munit, base_channels=8),
    'model.distiller.teacher_checkpoints?': ['{data}/teacher_styles2emoji.pth'],
    # in so few steps the game alone keeps the student from the teacher's colours
    'model.distiller.pixel_loss_weight?': 50.0,
    'model.distiller.schedule': dict(epochs=2400, constant=1200, block=1200, iters_per_epoch=1),
    'optim_wrapper.*.optimizer.lr?': 4e-4,
    'optim_wrapper.student.optimizer.lr?': 1.5e-3,
    'optim_wrapper.student_discriminators.optimizer.lr?': 4e-4,
}
# without a teacher: both auto-encoders
demo_munit_both = {
    'model.reachable_domains': demo_domains,
    'model.distiller.schedule': dict(epochs=1000, constant=1000, block=500, iters_per_epoch=1),
    'optim_wrapper.student.optimizer.lr?': 8e-4,
}
