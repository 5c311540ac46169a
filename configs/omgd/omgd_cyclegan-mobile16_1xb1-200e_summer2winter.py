# OMGD, CycleGAN, summer -> winter (Yosemite), student "1.0x" (S16):
# OMGD/scripts/cycle_gan/summer2winter/distill.sh.
_base_ = '../omgd_cyclegan.py'

data_root = 'data/summer2winter'
domain_a, domain_b = 'summer', 'winter'

model = dict(
    default_domain=domain_b,
    reachable_domains=[domain_b],
    related_domains=[domain_a, domain_b],
    distiller=dict(
        teacher=dict(
            default_domain=domain_b,
            reachable_domains=[domain_a, domain_b],
            related_domains=[domain_a, domain_b],
        ),
        losses=[*_base_.omgd_losses, dict(_base_.channel_loss, weight=100.0)],
        # 33 blocks of 6 and one of 2 teacher epochs, n_dis 4 x 6 each
        schedule=dict(block=6, student_epochs=24),
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
