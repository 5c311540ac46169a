# OMGD, CycleGAN, horse -> zebra, student "1.0x" (S16): the paper's setting.
# Source of each figure: OMGD/scripts/cycle_gan/horse2zebra/distill.sh.
_base_ = '_base_/runtime.py'

# --- what you may want to change --------------------------------------
data_root = 'data/horse2zebra'  # trainA trainB [valA valB] testA testB
domain_a, domain_b = 'horse', 'zebra'
image_size, load_size = 256, 286
teacher_width, student_width = 64, 16

# --- networks ------------------------------------------------------------
generator = dict(
    type='mmgan_compress.SeparableResnetGenerator', norm_cfg=dict(type='IN'))
teacher = dict(
    type='mmgan_compress.CycleGANTeacher',
    generator=dict(**generator, base_channels=teacher_width),
    discriminator=dict(
        type='PatchDiscriminator',
        in_channels=3,
        base_channels=64,
        num_conv=3,
        norm_cfg=dict(type='IN'),
        init_cfg=dict(type='normal', gain=0.02)),
    default_domain=domain_b,
    reachable_domains=[domain_a, domain_b],
    related_domains=[domain_a, domain_b],
    data_preprocessor=dict(type='DataPreprocessor', data_keys=[]),
    buffer_size=50,
    # lambda_identity 0.5 is a share of lambda 10
    loss_config=dict(cycle_loss_weight=10., id_loss_weight=5.))

model = dict(
    type='mmgan_compress.DistilledTranslator',
    generator=dict(**generator, base_channels=student_width),
    default_domain=domain_b,
    reachable_domains=[domain_b],  # both domains: distil both directions
    related_domains=[domain_a, domain_b],
    distiller=dict(
        type='mmgan_compress.OMGDCycleGAN',
        teacher=teacher,
        # behind the second down-sampling and the 3rd, 6th and 9th block
        channel=dict(
            weight=500.,
            layers=['model.9', 'model.12', 'model.15', 'model.18']),
        # 20 blocks of 10 teacher and n_dis 4 x 10 student epochs
        schedule=dict(epochs=200, constant=100, block=10, student_epochs=40)))

optimizer = dict(type='Adam', lr=2e-4, betas=(0.5, 0.999))
optim_wrapper = dict(
    constructor='MultiOptimWrapperConstructor',
    student=dict(
        modules=['generators', 'distiller.terms'], optimizer=optimizer),
    teachers=dict(
        modules=['distiller.teacher.generators'], optimizer=optimizer),
    discriminators=dict(
        modules=['distiller.teacher.discriminators'], optimizer=optimizer))

# --- data ------------------------------------------------------------------
dataset = dict(
    type='mmgan_compress.UnpairedImages',
    data_root=data_root,
    domains=[domain_a, domain_b],
    size=image_size,
    load_size=load_size)
train_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmgan_compress.PositionSampler'),
    dataset=dataset)
val_dataloader = dict(
    batch_size=4,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, split='val'))
test_dataloader = dict(
    batch_size=4,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, split='test'))

# --- scoring ---------------------------------------------------------------
metric = f'{domain_b}/FID'
fid = dict(
    type='mmgan_compress.FrechetDistance', domain=domain_b)
reference = dict(
    data_root=data_root, layout='unpaired', side='B', size=image_size)
# selection never looks at test images; without a val folder it takes 100
# training images (see UnpairedImages)
val_evaluator = dict(
    type='mmgan_compress.Evaluator',
    metrics=[dict(**fid, reference=dict(**reference, split='train'))])
# the papers' reference: real training and test images of the target domain
test_evaluator = dict(
    type='mmgan_compress.Evaluator',
    metrics=[dict(**fid, reference=dict(**reference, split='train+test'))])
default_hooks = dict(student=dict(metric=metric))
custom_hooks = [
    dict(type='mmgan_compress.TeacherSelectionHook', metrics={domain_b: [metric]})
]
