# GAN Slimming of a CycleGAN's generator, horse -> zebra, at any stage.
_base_ = ['cyclegan.py', 'gan_slimming.py']

domain_a, domain_b = _base_.domain_a, _base_.domain_b
model = dict(
    type='mmgan_compress.DistillationModel',
    generator=dict(**_base_.dense, **_base_.affine),
    default_domain=domain_b,
    reachable_domains=[domain_b],
    related_domains=[domain_a, domain_b],
    distiller=dict(
        type='mmgan_compress.GANSlimmingCycleGAN',
        teacher=dict(_base_.teacher, generator=dict(**_base_.dense, norm_cfg=dict(type='IN'))),
        # a CycleGAN of these networks: mmagic's own checkpoint or ours
        teacher_checkpoints=['teachers/cyclegan-dense_horse2zebra.pth'],
        student_discriminator=dict(_base_.teacher.discriminator, **_base_.affine),
        **_base_.learning,
    ),
)
# published: the best after epoch 100, by FID against the real training images
# alone (finetune.py)
default_hooks = dict(rate=_base_.cosine, student=dict(since=101))
test_evaluator = dict(
    metrics=[dict(**_base_.fid, reference=dict(**_base_.reference, split='train'))]
)

# published: images as they are, always mirrored; here mirrored at random
train_dataloader = dict(drop_last=True, dataset=dict(load_size=256))

demo = {**_base_.demo_slimming, 'model.generator': dict(_base_.demo_teacher, **_base_.affine)}
