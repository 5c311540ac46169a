# GauGAN on Cityscapes, 512x256: label maps -> photographs. Figures without
# another source are those of GAN Compression's scripts.
# mmgan-compress data cityscapes_labels makes trainA trainB trainI and val*.
_base_ = ['demo_labels.py', 'losses/gaugan_losses.py']

data_root = 'data/cityscapes_labels'
domain_a, domain_b = 'labels', 'photo'
image_size = 256  # the height
least_size = 128  # of --quick: the generator starts at a 64th
labels = dict(classes=35)  # ids 0 to 34

dataset = dict(
    type='mmgan_compress.LabelledImages',
    data_root=data_root,
    domains=[domain_a, domain_b],
    labels=labels,
    size=image_size,
    aspect_ratio=2,
)
# 200 of the training images train nothing: they choose (datasets/metas). The
# published test split is val.
split = dict(hold_out=200, val_folder=False)
train_dataloader = dict(
    batch_size=16,  # on all processes together; published: 8 x 2
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmgan_compress.PositionSampler'),
    dataset=dict(**dataset, **split),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, split='val', **split),
)
test_dataloader = dict(
    batch_size=4,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, split='val'),
)

# --- scoring: published by mIoU of DRN-D-105, and FID ------------------------
fid = dict(type='mmgan_compress.FrechetDistance', domain=domain_b)
reference = dict(data_root=data_root, layout='paired', side='B', size=image_size)
val_evaluator = dict(
    type='mmgan_compress.Evaluator',
    metrics=[dict(**fid, reference=dict(**reference, split='train'))],
)
test_evaluator = dict(
    type='mmgan_compress.Evaluator',
    metrics=[
        dict(**fid, reference=dict(**reference, split='val')),
        dict(type='mmgan_compress.PairedQuality', domain=domain_b),
    ],
)
default_hooks = dict(student=dict(metric=f'{domain_b}/FID'))

# --- networks ------------------------------------------------------------------
spade = dict(type='mmgan_compress.SPADEGenerator', labels=labels, upsampling='more')
mobile_spade = dict(**spade, separable=True)
discriminator = dict(type='mmgan_compress.MultiScaleDiscriminator', labels=labels, base_channels=64)
game = dict(
    type='mmgan_compress.GANCompressionGauGAN',
    offline=True,
    student_discriminator=discriminator,
    gan_type='hinge',
    gan_loss_weight=1.0,
    pixel_loss_weight=0.0,
    feature_loss_weight=10.0,
    # 1/32, 1/16, 1/8, 1/4 and 1, times 10
    perceptual_loss_weights=[0.3125, 0.625, 1.25, 2.5, 10.0],
    # torchvision's file: https://download.pytorch.org/models/
    perceptual=dict(
        type='mmgan_compress.VGG19Features',
        weights='data/vgg19-dcbb9e9d.pth',
        tapped=[0, 5, 10, 19, 28],
        normalized=False,
    ),
    schedule=dict(epochs=200, constant=100, block=10),
)
model = dict(
    type='mmgan_compress.DistillationModel',
    default_domain=domain_b,
    reachable_domains=[domain_b],
    related_domains=[domain_a, domain_b],
)
optim_wrapper = dict(  # two time scales
    constructor='MultiOptimWrapperConstructor',
    student=dict(
        modules=['generators', 'distiller.losses'],
        optimizer=dict(type='Adam', lr=1e-4, betas=(0.0, 0.9), fused=True),
    ),
    student_discriminators=dict(
        modules=['distiller.student_discriminators'],
        optimizer=dict(type='Adam', lr=4e-4, betas=(0.0, 0.9), fused=True),
    ),
)
