# --demo of recipes for label maps: flat emoji in 16 colours -> 3-D emoji. What
# the keys mean: demo.py.
_base_ = 'demo.py'

demo_root, demo_domains = '{data}/flat2emoji', ['labels', 'emoji']
demo_labels = dict(classes=16)
demo_emoji = dict(**_base_.demo_distance, domain='emoji')
demo_real_emoji = dict(data_root=demo_root, size=64, layout='paired', side='B')
# starts at 2x2 for 64 pixels
demo_spade = dict(type='mmgan_compress.SPADEGenerator', labels=demo_labels, separable=True)
demo_spade_arch = dict(**demo_spade, base_channels=6)
demo_spade_teacher = dict(**demo_spade, base_channels=7)

demo = {
    '*.dataset.data_root?': demo_root,
    '*.dataset.domains?': demo_domains,
    '*.dataset.labels?': demo_labels,
    '*.dataset.label_side': 'L',
    '*.dataset.aspect_ratio?': 1,
    '*.dataset.hold_out?': 0,
    '*.dataset.val_folder?': True,
    'train_dataloader.batch_size': 4,
    'val_evaluator.metrics?': [dict(**demo_emoji, reference=dict(**demo_real_emoji, split='val'))],
    'test_evaluator.metrics?': [
        dict(**demo_emoji, reference=dict(**demo_real_emoji, split='test')),
        dict(type='mmgan_compress.PairedQuality', domain='emoji'),
        dict(type='mmgan_compress.LabelAgreement', domain='emoji'),
    ],
    'model.related_domains': demo_domains,
    'model.generator.labels?': demo_labels,
    'model.generator.base_channels?': 6,
    'model.generator.upsampling?': 'normal',
    'model.distiller.student_discriminator.labels?': demo_labels,
    'model.distiller.student_discriminator.base_channels?': 16,
    # VGG-16, as of the other demos
    'model.distiller.perceptual?': None,
    'model.distiller.perceptual_loss_weights?': [1.25, 2.5, 2.5, 2.5],
    # beside them, or colours come late
    'model.distiller.pixel_loss_weight?': 50.0,
    'model.distiller.teachers.wide?': demo_spade_teacher,
    'model.distiller.teacher_checkpoints?': ['{data}/teacher_labels2emoji.pth'],
    'model.distiller.schedule': dict(epochs=300, constant=150, block=150, iters_per_epoch=1),
    'optim_wrapper.student.optimizer.lr?': 4e-4,
    'optim_wrapper.student_discriminators.optimizer.lr?': 4e-4,
}
