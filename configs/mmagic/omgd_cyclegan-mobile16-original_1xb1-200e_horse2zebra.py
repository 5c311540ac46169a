# OMGD, offline: a generator of pytorch-CycleGAN-and-pix2pix teaches, from the
# file that `convert` made of its latest_net_G_A.pth.
_base_ = 'omgd_cyclegan-mobile16-mmagic_1xb1-200e_horse2zebra.py'

domain_b = _base_.domain_b
init_cfg = dict(type='Pretrained', checkpoint='teachers/horse2zebra_G.pth')
model = dict(
    distiller=dict(
        teacher=dict(
            _delete_=True,
            type='mmgan_compress.FrozenTeacher',
            generators={domain_b: dict(**_base_.mmagic_generator, init_cfg=init_cfg)},
        ),
        teacher_checkpoints=[],
    )
)

demo_init = dict(
    type='Pretrained', checkpoint='{data}/teacher_flat2emoji.pth', prefix='teacher.generators.emoji'
)
demo = {
    'model.distiller.teacher': dict(
        type='mmgan_compress.FrozenTeacher',
        generators=dict(emoji=dict(**_base_.demo_teacher, init_cfg=demo_init)),
    ),
    'model.distiller.teacher_checkpoints?': [],
}
