# Super-resolution by four: train/ [val/] test/ of images of any size, those
# of train with sides of 96 pixels or more. GCC trains on COCO 2014 (train and
# val) and tests on Set5, Set14, B100 and Urban100, one at a time.
_base_ = 'demo_super.py'

data_root = 'data/coco2014'
domain_a, domain_b = 'low', 'high'
image_size = 24  # of the input

dataset = dict(
    type='mmgan_compress.SuperResolutionImages',
    data_root=data_root,
    domains=[domain_a, domain_b],
    size=image_size,
    scale=4,
    side='',
    flip=False,
)
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmgan_compress.PositionSampler'),
    dataset=dataset,
)
# whole images, which differ in size
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, split='val'),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, split='test'),
)

# --- scoring ---------------------------------------------------------------
quality = dict(type='mmgan_compress.SuperResolutionQuality', domain=domain_b, border=4)
val_evaluator = dict(type='mmgan_compress.Evaluator', metrics=[quality])
test_evaluator = dict(type='mmgan_compress.Evaluator', metrics=[quality])
default_hooks = dict(student=dict(metric=f'{domain_b}/PSNR-Y', lower_is_better=False))

# --- networks ----------------------------------------------------------------
srresnet = dict(type='mmgan_compress.SRResNet', num_blocks=16)
# GCC compares the 4th, 8th, 12th and 16th block
srresnet_layers = [f'model.2.conv_block.{block}' for block in (3, 7, 11, 15)]
super_resolution = dict(
    type='mmgan_compress.DistillationModel',
    default_domain=domain_b,
    reachable_domains=[domain_b],
    related_domains=[domain_a, domain_b],
)
adam = dict(type='Adam', lr=1e-4, fused=True)  # with torch's betas
