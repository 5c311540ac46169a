# --demo of super-resolution: 3-D emoji of 64 pixels from 16. What the keys
# mean: demo.py.
_base_ = 'demo.py'

# trained by gcc_srgan-resnet64-generator --demo, see TEACHERS.md
demo_teacher = dict(
    type='mmgan_compress.SRResNet',
    base_channels=16,
    num_blocks=6,
    init_cfg=dict(
        type='Pretrained', checkpoint='{data}/teacher_low2high.pth', prefix='generators.high'
    ),
)

demo = {
    '*.dataset.data_root?': '{data}/flat2emoji',
    '*.dataset.side?': 'B',
    '*.dataset.size?': 16,
    'train_dataloader.batch_size': 4,
    'model.default_domain': 'high',
    'model.reachable_domains': ['high'],
    'model.generator.base_channels?': 8,
    'model.generator.num_blocks?': 4,
    'model.distiller.perceptual?': None,  # VGG-16, as of the other demos
    'model.distiller.teachers.wide?': demo_teacher,
    'model.distiller.teacher_checkpoints?': None,
    'model.distiller.discriminator.base_channels?': 16,
    'model.distiller.student_discriminator.discriminator.base_channels?': 16,
    'model.distiller.schedule': dict(epochs=200, constant=100, block=100, iters_per_epoch=1),
    'default_hooks.student.metric': 'high/PSNR-Y',
}
