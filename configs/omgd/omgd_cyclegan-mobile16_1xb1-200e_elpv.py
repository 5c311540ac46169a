# OMGD, CycleGAN, mono- -> polycrystalline solar cells, student "1.0x" (S16).
# Not a published setting: the figures of horse2zebra, on real photographs
# that a package registry carries (mmgan-compress data elpv).
_base_ = '../omgd_cyclegan.py'

data_root = 'data/elpv'
domain_a, domain_b = 'mono', 'poly'

model = dict(
    default_domain=domain_b,
    reachable_domains=[domain_b],
    related_domains=[domain_a, domain_b],
    distiller=dict(
        teacher=dict(
            default_domain=domain_b,
            reachable_domains=[domain_a, domain_b],
            related_domains=[domain_a, domain_b],
        )
    ),
)

dataset = dict(data_root=data_root, domains=[domain_a, domain_b])
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)

metric = f'{domain_b}/FID'
fid = dict(type='mmgan_compress.FrechetDistance', domain=domain_b)
reference = dict(data_root=data_root, layout='unpaired', side='B', size=256)
val_evaluator = dict(metrics=[dict(**fid, reference=dict(**reference, split='train'))])
test_evaluator = dict(metrics=[dict(**fid, reference=dict(**reference, split='train+test'))])
default_hooks = dict(student=dict(metric=metric))
custom_hooks = [dict(type='mmgan_compress.TeacherSelectionHook', metrics={domain_b: [metric]})]
