# OMGD, CycleGAN, horse -> zebra, student "1.0x" (S16): the paper's setting.
# Source of each figure: OMGD/scripts/cycle_gan/horse2zebra/distill.sh.
_base_ = ['_base_/cyclegan.py', '_base_/losses/omgd_losses.py']

domain_a, domain_b = _base_.domain_a, _base_.domain_b
student_width = 16
channel_loss = dict(type='mmgan_compress.ChannelLoss', weight=500.0, layers=_base_.separable_layers)

model = dict(
    type='mmgan_compress.DistillationModel',
    generator=dict(**_base_.generator, base_channels=student_width),
    default_domain=domain_b,
    reachable_domains=[domain_b],  # both domains: distil both directions
    related_domains=[domain_a, domain_b],
    distiller=dict(
        type='mmgan_compress.OMGDCycleGAN',
        teacher=_base_.teacher,
        teacher_checkpoints=[],  # it learns beside the student
        losses=[*_base_.omgd_losses, channel_loss],
        # 20 blocks of 10 teacher and n_dis 4 x 10 student epochs
        schedule=dict(epochs=200, constant=100, block=10, student_epochs=40),
    ),
)

optim_wrapper = _base_.teaching

# the best teacher by the metric of its direction teaches
custom_hooks = [
    dict(type='mmgan_compress.TeacherSelectionHook', metrics={domain_b: [_base_.metric]})
]

demo = {'model.distiller.schedule': _base_.demo_rounds}
