# CartoonGAN (hayao) on photographs, 128 px: a finished teacher, of which there
# are its images alone. They are the truth of the pairs.
_base_ = ['../../../../configs/_base_/pix2pix.py', '../runtime.py']

custom_imports = dict(imports=_base_.imports)
domain_a, domain_b = 'photo', 'cartoon'
data_root, size = 'data/photos128', 128
student = dict(
    type='mmgan_compress.SeparableResnetGenerator', norm_cfg=dict(type='IN'), base_channels=32
)
model = dict(
    type='mmgan_compress.DistillationModel',
    generator=student,
    default_domain=domain_b,
    reachable_domains=[domain_b],
    related_domains=[domain_a, domain_b],
    distiller=dict(
        type='mmgan_compress.PairedOnlineDistiller',
        offline=True,
        teachers=dict(hayao=dict(type='mmgan_compress.StoredTeacher')),
        schedule=_base_.forever,
    ),
)
optim_wrapper = _base_.learning
default_hooks = _base_.budget_hooks

dataset = dict(data_root=data_root, domains=[domain_a, domain_b], size=size, load_size=size)
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(dataset, teacher_images={domain_b: f'{data_root}/trainB'}),
)
val_dataloader = val_cfg = val_evaluator = None
test_dataloader = test_cfg = test_evaluator = None  # teacher.py has them
scoring_dataloader = dict(
    _base_.test_dataloader,
    batch_size=8,
    num_workers=0,
    dataset=dict(_base_.test_dataloader.dataset, **dataset),
)
scoring_evaluator = dict(metrics=[dict(type='mmgan_compress.PairedQuality', domain=domain_b)])
