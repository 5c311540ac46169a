# GAN Slimming, CycleGAN, summer -> winter (Yosemite), GS-32. The student is a
# copy of its teacher, as for horse2zebra; `-published` is what the authors'
# script does.
_base_ = '../gan_slimming_cyclegan.py'

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
        teacher_checkpoints=['teachers/cyclegan-dense_summer2winter.pth'],
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
test_evaluator = dict(metrics=[dict(**fid, reference=dict(**reference, split='train'))])
default_hooks = dict(student=dict(metric=metric))
