# GAN Compression, Pix2Pix, map -> aerial photograph, at any stage: all but
# the student.
_base_ = 'pix2pix_compression.py'

data_root = 'data/maps'  # train test, of side-by-side pairs
domain_a, domain_b = 'aerial', 'map'  # left and right half of a pair
source, target = domain_b, domain_a  # --direction BtoA

loss = dict(_base_.loss, weight=0.01)
model = dict(
    default_domain=target,
    reachable_domains=[target],
    related_domains=[source, target],
    distiller=dict(
        teachers=dict(wide=dict(base_channels=96)),
        teacher_checkpoints=['teachers/pix2pix-mobile96_maps.pth'],
        pixel_loss_weight=10.0,
        losses=[loss],
    ),
)

alone = dict(pixel_loss_weight=10.0)

dataset = dict(data_root=data_root, domains=[domain_a, domain_b])
train_dataloader = dict(batch_size=1, dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)

metric = f'{target}/FID'
fid = dict(type='mmgan_compress.FrechetDistance', domain=target)
reference = dict(data_root=data_root, layout='paired', side='A', size=256)
val_evaluator = dict(metrics=[dict(**fid, reference=dict(**reference, split='train'))])
test_evaluator = dict(
    metrics=[
        dict(**fid, reference=dict(**reference, split='test')),
        dict(type='mmgan_compress.PairedQuality', domain=target),
    ]
)
default_hooks = dict(student=dict(metric=metric))
