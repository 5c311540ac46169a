# --demo of every recipe: the package's data of 64 pixels, small networks, on
# a CPU in minutes.
#
# `demo` holds what --demo changes of a recipe, by dotted key. `*` stands for
# every member, a `?` behind a key means "only where the recipe has it", None
# removes it, and {data} is the folder of the data that the package ships. A
# recipe adds keys and replaces them by a `demo` of its own. The figures were
# chosen by trying on 2 cores, for a student that visibly does the task after
# some 4 minutes.
_base_ = 'runtime.py'

demo_norm = dict(norm_cfg=dict(type='IN'))
demo_student = dict(
    _delete_=True, type='mmgan_compress.SeparableResnetGenerator', **demo_norm, base_channels=8
)
# the FID Inception would take half of the time
demo_distance = dict(type='mmgan_compress.FrechetDistance', network='vgg16')

demo = {
    # workers cost more to start than these files to read
    '*.num_workers?': 0,
    '*.persistent_workers?': False,
    '*.dataset.size?': 64,
    '*.dataset.load_size?': 64,
    '*.dataset.pipeline?': None,  # of the recipe's own size
    '*.dataset.extra_images?': None,  # of other domains
    'train_dataloader.dataset.load_size?': 72,
    'val_dataloader.batch_size?': 16,
    'val_dataloader.dataset.split?': 'val',
    'test_dataloader.batch_size?': 16,
    'test_dataloader.dataset.split?': 'test',
    'model.default_domain': 'emoji',
    'model.reachable_domains': ['emoji'],
    'model.generator.base_channels?': 8,
    'model.generator.num_down?': 5,
    'model.generator.init_cfg?': None,
    'model.distiller.losses.*.layers?': 'auto',
    # teachers that go on, beside a discriminator that starts from nothing
    # and gates that have hundreds of steps to close
    'optim_wrapper.*.optimizer.lr?': 2e-5,
    'optim_wrapper.student.optimizer.lr?': 1e-3,
    'optim_wrapper.student_discriminators.optimizer.lr?': 2e-4,
    'optim_wrapper.gates.optimizer.lr?': 2e-3,
    'default_hooks.logger.interval': 100,
    'default_hooks.checkpoint.interval': 500,
    'default_hooks.student.metric': 'emoji/FD-VGG16',
    'custom_hooks.*.metrics?': {'emoji': ['emoji/FD-VGG16']},
}
