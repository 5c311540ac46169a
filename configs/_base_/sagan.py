# Images of 64 pixels from noise: train/ of images of any size. GCC trains on
# CelebA, of whose aligned images (178x218) it takes the middle.
_base_ = 'demo_noise.py'

data_root = 'data/celeba'
domain_a, domain_b = 'noise', 'face'
image_size, noise_size, crop = 64, 128, 160

dataset = dict(
    type='mmgan_compress.NoiseImages',
    data_root=data_root,
    domains=[domain_a, domain_b],
    size=image_size,
    noise_size=noise_size,
    crop=crop,
    side='',
    flip=False,
)
train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmgan_compress.PositionSampler'),
    dataset=dataset,
)
# always of the same noise
val_dataloader = dict(
    batch_size=64,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, split='val', samples=5000),
)
test_dataloader = dict(
    batch_size=64,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, split='test', samples=50000, seed=1),
)

# --- scoring ---------------------------------------------------------------
fid = dict(
    type='mmgan_compress.FrechetDistance',
    domain=domain_b,
    reference=dict(data_root=data_root, side='', split='train', size=image_size, crop=crop),
)
val_evaluator = dict(type='mmgan_compress.Evaluator', metrics=[fid])
test_evaluator = dict(type='mmgan_compress.Evaluator', metrics=[fid])
default_hooks = dict(student=dict(metric=f'{domain_b}/FID'))

# --- networks ----------------------------------------------------------------
sagan = dict(type='mmgan_compress.SelfAttentionGenerator', noise_size=noise_size)
sagan_discriminator = dict(type='mmgan_compress.SelfAttentionDiscriminator', base_channels=64)
from_noise = dict(
    type='mmgan_compress.DistillationModel',
    default_domain=domain_b,
    reachable_domains=[domain_b],
    related_domains=[domain_a, domain_b],
)
adam = dict(type='Adam', lr=1e-4, betas=(0.0, 0.9), fused=True)
adam_discriminator = dict(adam, lr=4e-4)
