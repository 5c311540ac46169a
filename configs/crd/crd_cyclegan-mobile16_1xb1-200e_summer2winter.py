# CRD, CycleGAN, summer -> winter, student "1.0x" (S16):
# CRD/scripts/cycle_gan/summer2winter.
_base_ = [
    '../omgd/omgd_cyclegan-mobile16_1xb1-200e_summer2winter.py',
    '../_base_/losses/crd_cyclegan_losses.py',
]

model = dict(
    distiller=dict(
        _delete_=True,
        type='mmgan_compress.CRDCycleGAN',
        teacher=_base_.model.distiller.teacher,
        teacher_checkpoints=[],
        losses=_base_.crd_losses,
        schedule=dict(epochs=200, constant=100, block=6, student_epochs=24),
    )
)

# 64 patches, as in an image of 256 pixels
demo = {'model.distiller.losses.0.patch_size': 8}
