# MUNIT, edges -> shoes, unpaired: the pairs of edges2shoes, each side by itself.
# Figures without another source are those of GAN Compression's scripts.
_base_ = 'demo_styles.py'

data_root = 'data/edges2shoes'
domain_a, domain_b = 'edges', 'shoes'
image_size = 256
style_size = 8

dataset = dict(
    type='mmgan_compress.UnpairedImages',
    data_root=data_root,
    domains=[domain_a, domain_b],
    side_by_side=True,
    size=image_size,
    load_size=image_size,
    noise_size=style_size,
)
# 2,048 of the training images train nothing: they choose (datasets/metas)
split = dict(hold_out=2048)
two_styles = dict(noise_size=2 * style_size)  # the second one for the diversity
train_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmgan_compress.PositionSampler'),
    dataset=dict(**dataset, **split),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(dataset, **two_styles, split='val', **split),
)
test_dataloader = dict(
    batch_size=4,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(dataset, **two_styles, split='test'),
)

# --- scoring: one random style for each image --------------------------------
fid = dict(type='mmgan_compress.FrechetDistance', domain=domain_b)
reference = dict(data_root=data_root, layout='paired', side='B', size=image_size)
diversity = dict(type='mmgan_compress.StyleDiversity', domain=domain_b)
val_evaluator = dict(
    type='mmgan_compress.Evaluator',
    metrics=[dict(**fid, reference=dict(**reference, split='train')), diversity],
)
test_evaluator = dict(
    type='mmgan_compress.Evaluator',
    metrics=[dict(**fid, reference=dict(**reference, split='test')), diversity],
)
default_hooks = dict(student=dict(metric=f'{domain_b}/FID'))

# --- networks ----------------------------------------------------------------
munit = dict(
    type='mmgan_compress.MUNITGenerator', style_size=style_size, mlp_channels=256, num_blocks=4
)
discriminator = dict(type='mmgan_compress.MUNITDiscriminator', base_channels=64)
model = dict(
    type='mmgan_compress.DistillationModel',
    default_domain=domain_b,
    related_domains=[domain_a, domain_b],
)
# decay of the weights, of adaptors and discriminators too
adam = dict(type='Adam', lr=1e-4, betas=(0.5, 0.999), weight_decay=1e-4, fused=True)
optim_wrapper = dict(
    constructor='MultiOptimWrapperConstructor',
    student=dict(modules=['generators', 'distiller.losses'], optimizer=adam),
    student_discriminators=dict(modules=['distiller.student_discriminators'], optimizer=adam),
)
