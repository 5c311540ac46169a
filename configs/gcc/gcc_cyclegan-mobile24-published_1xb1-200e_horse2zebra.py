# GCC, CycleGAN: features of the teacher's discriminator as published, which
# is without any gradient to the student, and a gap that is not averaged.
_base_ = '../gcc_cyclegan.py'

model = dict(
    distiller=dict(
        published_features=True,
        average_gap=False,
        losses=[dict(_base_.cooperative_loss, detach_discriminator=True)],
    )
)
