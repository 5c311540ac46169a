# GAN Compression, GauGAN, Cityscapes, at any stage behind the teacher: all but
# the student.
_base_ = ['gaugan.py', 'gan_compression.py']

arch = dict(**_base_.mobile_spade, base_channels=48)
model = dict(
    distiller=dict(
        **_base_.game,
        # without its spectral norms, which become a part of the weights
        teachers=dict(wide=dict(**_base_.mobile_spade, base_channels=64)),
        teacher_checkpoints=['teachers/gaugan-mobile64_cityscapes.pth'],
        losses=[_base_.gaugan_loss],
    )
)
