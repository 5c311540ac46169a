# CRD, CycleGAN, horse -> zebra, student "1.0x" (S16): the paper's setting.
# Data, networks and schedule are OMGD's; the student's losses are not.
# Source of each figure: CRD/scripts/cycle_gan/horse2zebra.
_base_ = ['omgd_cyclegan.py', '_base_/losses/crd_cyclegan_losses.py']

model = dict(
    distiller=dict(
        _delete_=True,
        type='mmgan_compress.CRDCycleGAN',
        teacher=_base_.teacher,
        teacher_checkpoints=[],
        losses=_base_.crd_losses,
        # 20 blocks of 10 teacher and n_dis 4 x 10 student epochs
        schedule=dict(epochs=200, constant=100, block=10, student_epochs=40),
    )
)

# 64 patches, as in an image of 256 pixels
demo = {'model.distiller.losses.0.patch_size': 8}
