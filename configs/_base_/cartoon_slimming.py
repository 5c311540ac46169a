# GAN Slimming of CartoonGAN's generator, photo -> cartoon, at any stage. What
# the teacher makes of photographs is all that is "real": trainB and testB are
# its images, for scoring.
_base_ = 'cyclegan_slimming.py'

data_root = 'data/photos'
domain_a, domain_b = 'photo', 'cartoon'
# its own norms have scales, with which the student begins
cartoon = dict(type='mmgan_compress.CartoonGenerator')
model = dict(
    generator=dict(_delete_=True, **cartoon),
    default_domain=domain_b,
    reachable_domains=[domain_b],
    related_domains=[domain_a, domain_b],
    distiller=dict(
        teacher=dict(
            _delete_=True,
            type='mmgan_compress.FrozenTeacher',
            generators={
                domain_b: dict(
                    **cartoon,
                    init_cfg=dict(
                        type='Pretrained',
                        checkpoint='teachers/cartoongan-hayao.pth',
                        prefix=f'generators.{domain_b}',
                    ),
                )
            },
        ),
        teacher_checkpoints=[],
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
# testB is what the teacher makes of testA, so the student can be compared
# image by image
test_evaluator = dict(
    metrics=[
        dict(**fid, reference=dict(**reference, split='train')),
        dict(type='mmgan_compress.PairedQuality', domain=domain_b),
    ]
)
default_hooks = dict(student=dict(metric=metric))

demo = {
    'model.distiller.teacher.generators?': {
        'emoji': dict(
            **_base_.demo_teacher,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='{data}/teacher_flat2emoji.pth',
                prefix='teacher.generators.emoji',
            ),
        )
    },
    'model.distiller.teacher_checkpoints?': [],
}
