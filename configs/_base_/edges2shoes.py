# Edges -> shoes, paired: train [val] test, of side-by-side pairs.
_base_ = 'demo_paired.py'

data_root = 'data/edges2shoes'
domain_a, domain_b = 'edges', 'shoes'
image_size, load_size = 256, 286

dataset = dict(
    type='mmgan_compress.PairedImages',
    data_root=data_root,
    domains=[domain_a, domain_b],
    size=image_size,
    load_size=load_size,
)
train_dataloader = dict(
    batch_size=4,
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
reference = dict(data_root=data_root, layout='paired', side='B', size=image_size)
val_evaluator = dict(
    type='mmgan_compress.Evaluator',
    metrics=[dict(**fid, reference=dict(**reference, split='train'))],
)
test_evaluator = dict(
    type='mmgan_compress.Evaluator',
    metrics=[
        dict(**fid, reference=dict(**reference, split='test')),
        dict(type='mmgan_compress.PairedQuality', domain=domain_b),
    ],
)
default_hooks = dict(student=dict(metric=metric))
