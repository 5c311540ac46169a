# OMGD, CycleGAN, horse -> zebra, student "0.75x" (S12):
# OMGD/scripts/cycle_gan/horse2zebra/distill_S12.sh.
_base_ = '../omgd_cyclegan.py'

teacher_width, student_width = 48, 12
model = dict(
    generator=dict(base_channels=student_width),
    distiller=dict(
        teacher=dict(generator=dict(base_channels=teacher_width)),
        # 16 blocks of 12 and one of 8 teacher epochs, n_dis 4 x 12 each
        schedule=dict(block=12, student_epochs=48),
    ),
)
