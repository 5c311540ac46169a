# OMGD, Pix2Pix, Cityscapes labels -> photographs, U-Net student "1.0x" (S16):
# OMGD/scripts/unet_pix2pix/cityscapes/distill.sh. The paper scores mIoU by a
# DRN-D-105, whose weights cannot be had; here FID and paired quality.
_base_ = '../omgd_pix2pix.py'

data_root = 'data/cityscapes'  # train val, of side-by-side pairs
domain_a, domain_b = 'photo', 'label'  # left and right half of a pair
source, target = domain_b, domain_a  # --direction BtoA

model = dict(
    default_domain=target,
    reachable_domains=[target],
    related_domains=[source, target],
    distiller=dict(
        losses=[*_base_.omgd_losses, dict(_base_.channel_loss, weight=50.0)],
        teacher_interval=3,  # n_dis
        schedule=dict(epochs=750, constant=300, block=25),
    ),
)

# The official test labels are not public: the papers test on val. What
# selects is therefore cut from the training images, not augmented.
dataset = dict(data_root=data_root, domains=[domain_a, domain_b])
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(
    dataset=dict(**dataset, split='train', max_images=100, load_size=None, flip=False)
)
test_dataloader = dict(dataset=dict(**dataset, split='val'))

metric = f'{target}/FID'
fid = dict(type='mmgan_compress.FrechetDistance', domain=target)
reference = dict(data_root=data_root, layout='paired', side='A', size=256)
val_evaluator = dict(metrics=[dict(**fid, reference=dict(**reference, split='train'))])
test_evaluator = dict(
    metrics=[
        dict(**fid, reference=dict(**reference, split='val')),
        dict(type='mmgan_compress.PairedQuality', domain=target),
    ]
)
default_hooks = dict(student=dict(metric=metric))
