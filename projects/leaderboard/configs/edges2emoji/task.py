# edges -> 3-D emoji, paired, 64 px: data, metrics, and a finished teacher from
# which the student learns. A method is its losses.
_base_ = ['../../../../configs/_base_/pix2pix.py', '../runtime.py']

custom_imports = dict(imports=_base_.imports)
domain_a, domain_b = 'edges', 'emoji'
data_root, size = 'data/edges2emoji64', 64
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
deep = dict(type='mmgan_compress.DeepSeparableResnetGenerator', norm_cfg=norm_cfg, base_channels=6)
patch = dict(_base_.patch, base_channels=16, norm_cfg=norm_cfg)
# of the teachers
heads = dict(
    type='mmgan_compress.MultiHeadPatchDiscriminator',
    in_channels=6,
    base_channels=16,
    norm_cfg=norm_cfg,
    num_heads=2,
    shared=3,
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
        teachers=dict(wide=wide),
        discriminator=heads,
        teacher_checkpoints=[f'teachers/edges2emoji_{part}.pth' for part in ('wide', 'rest')],
        schedule=_base_.forever,
    ),
)
optim_wrapper = _base_.learning
default_hooks = _base_.budget_hooks

dataset = dict(data_root=data_root, domains=[domain_a, domain_b], size=size, load_size=72)
train_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False, dataset=dataset)
val_dataloader = val_cfg = val_evaluator = None
test_dataloader = test_cfg = test_evaluator = None  # teacher.py has them
scoring_dataloader = dict(
    _base_.test_dataloader,
    batch_size=16,
    num_workers=0,
    dataset=dict(_base_.test_dataloader.dataset, **dataset),
)
reference = dict(data_root=data_root, layout='paired', side='B', size=size, split='test')
scoring_evaluator = dict(
    metrics=[
        dict(type='mmgan_compress.FrechetDistance', domain=domain_b, reference=reference),
        dict(type='mmgan_compress.PairedQuality', domain=domain_b),
    ]
)
