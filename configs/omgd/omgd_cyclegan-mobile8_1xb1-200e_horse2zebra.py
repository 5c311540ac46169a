# OMGD, CycleGAN, horse -> zebra, student "0.5x" (S8):
# OMGD/scripts/cycle_gan/horse2zebra/distill_S8.sh.
_base_ = '../omgd_cyclegan.py'

teacher_width, student_width = 48, 8
model = dict(
    generator=dict(base_channels=student_width),
    distiller=dict(
        teacher=dict(generator=dict(base_channels=teacher_width)),
        # 25 blocks of 8 teacher and n_dis 4 x 8 student epochs
        schedule=dict(block=8, student_epochs=32),
    ),
)
