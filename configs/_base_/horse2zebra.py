# Horse -> zebra, unpaired: trainA trainB [valA valB] testA testB.
_base_ = 'demo_unpaired.py'

data_root = 'data/horse2zebra'
domain_a, domain_b = 'horse', 'zebra'
image_size, load_size = 256, 286

dataset = dict(
    type='mmgan_compress.UnpairedImages',
    data_root=data_root,
    domains=[domain_a, domain_b],
    size=image_size,
    load_size=load_size,
)
train_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmgan_compress.PositionSampler'),
    dataset=dataset,
)
val_dataloader = dict(
    batch_size=4,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, split='val'),
)
test_dataloader = dict(
    batch_size=4,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, split='test'),
)

# --- scoring ---------------------------------------------------------------
metric = f'{domain_b}/FID'
fid = dict(type='mmgan_compress.FrechetDistance', domain=domain_b)
reference = dict(data_root=data_root, layout='unpaired', side='B', size=image_size)
# selection never looks at test images; without a val folder it takes 100
# training images (see UnpairedImages)
val_evaluator = dict(
    type='mmgan_compress.Evaluator',
    metrics=[dict(**fid, reference=dict(**reference, split='train'))],
)
# the papers' reference: real training and test images of the target domain
test_evaluator = dict(
    type='mmgan_compress.Evaluator',
    metrics=[dict(**fid, reference=dict(**reference, split='train+test'))],
)
default_hooks = dict(student=dict(metric=metric))
