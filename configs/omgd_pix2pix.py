# OMGD, Pix2Pix, edges -> shoes, U-Net student "1.0x" (S16): the paper's
# setting. Source of each figure:
# OMGD/scripts/unet_pix2pix/edges2shoes/distill.sh.
_base_ = '_base_/runtime.py'

# --- what you may want to change --------------------------------------
data_root = 'data/edges2shoes'  # train [val] test, of side-by-side pairs
domain_a, domain_b = 'edges', 'shoes'
image_size, load_size = 256, 286
wide_width, deep_width, student_width = 64, 16, 16

# --- networks ------------------------------------------------------------
unet = dict(in_channels=3, out_channels=3, norm_cfg=dict(type='BN'))
generator = dict(type='UnetGenerator', **unet)
# ReLUs of the down path at levels 2 and 4, of the up path at 3 and 1
taps = [
    'model.model.1.model.1.model.0.activate',
    'model.model.1.model.1.model.1.model.1.model.0.activate',
    'model.model.1.model.1.model.1.model.2.activate',
    'model.model.1.model.2.activate'
]
model = dict(
    type='mmgan_compress.DistilledTranslator',
    generator=dict(**generator, base_channels=student_width),
    default_domain=domain_b,
    reachable_domains=[domain_b],
    related_domains=[domain_a, domain_b],
    distiller=dict(
        type='mmgan_compress.OMGDPix2Pix',
        teachers=dict(
            wide=dict(**generator, base_channels=wide_width),
            deep=dict(
                type='mmgan_compress.DeepUnetGenerator',
                **unet,
                base_channels=deep_width)),
        discriminator=dict(
            type='mmgan_compress.MultiHeadPatchDiscriminator',
            in_channels=6,
            base_channels=128,
            norm_cfg=dict(type='BN'),
            num_heads=2,
            shared=5),
        channel=dict(weight=10., layers=taps, teachers=['wide']),
        gan_type='hinge',
        pixel_loss_weight=100.,
        teacher_interval=1,  # n_dis
        schedule=dict(epochs=200, constant=100, block=5)))

optimizer = dict(type='Adam', lr=2e-4, betas=(0.5, 0.999))
optim_wrapper = dict(
    constructor='MultiOptimWrapperConstructor',
    student=dict(
        modules=['generators', 'distiller.terms'], optimizer=optimizer),
    teachers=dict(modules=['distiller.teachers'], optimizer=optimizer),
    discriminators=dict(
        modules=['distiller.discriminator'], optimizer=optimizer))

# --- data ------------------------------------------------------------------
dataset = dict(
    type='mmgan_compress.PairedImages',
    data_root=data_root,
    domains=[domain_a, domain_b],
    size=image_size,
    load_size=load_size)
train_dataloader = dict(
    batch_size=4,
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
    data_root=data_root, layout='paired', side='B', size=image_size)
val_evaluator = dict(
    type='mmgan_compress.Evaluator',
    metrics=[dict(**fid, reference=dict(**reference, split='train'))])
test_evaluator = dict(
    type='mmgan_compress.Evaluator',
    metrics=[
        dict(**fid, reference=dict(**reference, split='test')),
        dict(type='mmgan_compress.PairedQuality', domain=domain_b)
    ])
default_hooks = dict(student=dict(metric=metric))
