# What the published code does where the main recipe differs: every training
# image is mirrored, always, and shifts of dead channels stay. Extract it with
# `mmgan-compress prune --pruner SlimExtraction --options published=true` to
# drop what these emit, as published.
_base_ = '../gan_slimming_cyclegan.py'

keys = [f'img_{_base_.domain_a}', f'img_{_base_.domain_b}']
default_hooks = dict(slimming=dict(shrink_shifts=False))
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            *(dict(type='mmgan_compress.ReadImage', key=key) for key in keys),
            dict(
                type='Resize',
                keys=keys,
                scale=(256, 256),
                interpolation='bicubic',
                backend='pillow',
            ),
            dict(type='Flip', keys=keys, direction='horizontal', flip_ratio=1.0),
            dict(
                type='PackInputs',
                keys=keys,
                data_keys=[],
                meta_keys=[f'{key}_path' for key in keys],
            ),
        ]
    )
)
