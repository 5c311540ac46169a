# GAN Compression's super-net of a U-Net, which was not published: one width
# for each of its eight resolutions. Figures are those of the separable one.
_base_ = '../gan_compression_pix2pix.py'

unet = dict(type='UnetGenerator', **_base_.unet)
wide = dict(**unet, base_channels=64)
# outputs of convolutions: a skip's concatenation cannot be compared
layers = [
    'model.model.1.model.0',
    'model.model.1.model.1.model.1.model.0',
    'model.model.1.model.1.model.1.model.2',
    'model.model.1.model.2',
]
model = dict(
    generator=dict(arch=dict(_delete_=True, **wide), space=[[64, 48, 32]] * 8),
    distiller=dict(
        teachers=dict(wide=dict(_delete_=True, **wide)),
        teacher_checkpoints=['teachers/pix2pix-unet64_edges2shoes.pth'],
        student_discriminator=_base_.patch,
        losses=[dict(_base_.loss, layers=layers)],
    ),
)

# five levels; maps of the size of the teacher's, a quarter of the image
demo = {
    'model.generator': dict(
        arch=dict(_delete_=True, **unet, base_channels=8, num_down=5), space=[[8, 6, 4]] * 5
    ),
    'model.distiller.losses': [
        dict(
            _base_.loss,
            layers=[layers[0], 'model.model.1.model.1.model.2'],
            target_layers=['model.2', 'model.8'],
        )
    ],
}
