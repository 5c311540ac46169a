# Teacher: mmagic's CycleGAN, a ResNet of 64 base channels, by a checkpoint of
# mmagic whose channels `convert --bgr` has turned to RGB.
mmagic_generator = dict(
    type='ResnetGenerator',
    in_channels=3,
    out_channels=3,
    base_channels=64,
    norm_cfg=dict(type='IN'),
    num_blocks=9,
)
mmagic_teacher = dict(
    teacher=dict(generator=dict(_delete_=True, **mmagic_generator)),
    teacher_checkpoints=['teachers/mmagic_horse2zebra.pth'],
)
