# GAN Slimming, Pix2Pix, edges -> shoes, GS-32. The paper has no paired task:
# its figures are those of gan_slimming_cyclegan, the data and discriminators
# those of the other recipes of this task.
_base_ = ['_base_/pix2pix.py', '_base_/gan_slimming.py']

domain_a, domain_b = _base_.domain_a, _base_.domain_b
# of gan_compression_pix2pix-resnet64-teacher, which trains the teacher
discriminator = dict(_base_.patch, norm_cfg=dict(type='IN'))
model = dict(
    type='mmgan_compress.DistillationModel',
    generator=dict(**_base_.dense, **_base_.affine),
    default_domain=domain_b,
    reachable_domains=[domain_b],
    related_domains=[domain_a, domain_b],
    distiller=dict(
        type='mmgan_compress.GANSlimmingPix2Pix',
        teachers=dict(wide=dict(**_base_.dense, norm_cfg=dict(type='IN'))),
        discriminator=discriminator,
        teacher_checkpoints=['teachers/pix2pix-dense_edges2shoes.pth'],
        student_discriminator=discriminator,
        **_base_.learning,
    ),
)

optim_wrapper = _base_.slimming
default_hooks = dict(rate=_base_.cosine, slimming=_base_.soft_threshold)
train_dataloader = dict(batch_size=8, drop_last=True)

demo = {
    **_base_.demo_slimming,
    'model.generator': dict(_base_.demo_teacher, **_base_.affine),
    'model.distiller.teacher_checkpoints?': ['{data}/teacher_edges2emoji_wide.pth'],
    # the teacher's has two heads; the student's starts anew
    'model.distiller.discriminator?': None,
    'train_dataloader.batch_size': 1,  # 4 would take ten minutes
}
