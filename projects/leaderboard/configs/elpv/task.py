# Solar cells, mono- -> polycrystalline, unpaired, 64 px: data, metrics, and a
# finished teacher from which the student learns. A method is its losses.
_base_ = ['../../../../configs/_base_/cyclegan.py', '../runtime.py']

custom_imports = dict(imports=_base_.imports)
domain_a, domain_b = 'mono', 'poly'
data_root, size = 'data/elpv64', 64
norm_cfg = dict(type='IN')
student = dict(type='mmgan_compress.SeparableResnetGenerator', norm_cfg=norm_cfg, base_channels=6)
wide = dict(
    type='ResnetGenerator',
    in_channels=3,
    out_channels=3,
    base_channels=20,
    num_blocks=6,
    norm_cfg=norm_cfg,
)
patch = dict(_base_.teacher.discriminator, base_channels=20)
domains = dict(
    default_domain=domain_b,
    reachable_domains=[domain_a, domain_b],
    related_domains=[domain_a, domain_b],
)
model = dict(
    type='mmgan_compress.DistillationModel',
    generator=student,
    **dict(domains, reachable_domains=[domain_b]),
    distiller=dict(
        type='mmgan_compress.UnpairedOnlineDistiller',
        offline=True,
        teacher=dict(_base_.teacher, generator=wide, discriminator=patch, **domains),
        teacher_checkpoints=['teachers/elpv.pth'],
        schedule=_base_.forever,
    ),
)
optim_wrapper = _base_.learning
default_hooks = _base_.budget_hooks

dataset = dict(data_root=data_root, domains=[domain_a, domain_b], size=size, load_size=72)
train_dataloader = dict(batch_size=1, num_workers=0, persistent_workers=False, dataset=dataset)
val_dataloader = val_cfg = val_evaluator = None
test_dataloader = test_cfg = test_evaluator = None  # teacher.py has them
scoring_dataloader = dict(
    _base_.test_dataloader,
    batch_size=16,
    num_workers=0,
    dataset=dict(_base_.test_dataloader.dataset, **dataset),
)
reference = dict(data_root=data_root, layout='unpaired', side='B', size=size, split='test')
scoring_evaluator = dict(
    metrics=[dict(type='mmgan_compress.FrechetDistance', domain=domain_b, reference=reference)]
)
