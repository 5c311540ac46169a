# GCC, Pix2Pix, Cityscapes labels -> photographs, U-Net: stage C, cooperative
# training. The student is an unpruned U-Net of the paper's budget (3.0 G
# papers' MACs); `mmgan-compress pipeline gcc_pix2pix-pipeline.py` puts the
# searched one in its place. Source of each figure: GCC's scripts and
# options for Cityscapes (spec of the fixtures: options_pix2pix_cityscapes).
_base_ = ['omgd/omgd_pix2pix-unet16_1xb4-750e_cityscapes.py', '_base_/losses/gcc_pix2pix_losses.py']

unet = dict(
    type='UnetGenerator',
    in_channels=3,
    out_channels=3,
    norm_cfg=dict(type='BN'),
    num_down=8,
    use_dropout=True,
)
model = dict(
    generator=dict(_delete_=True, **unet, base_channels=25),
    distiller=dict(
        _delete_=True,
        type='mmgan_compress.GCCPix2Pix',
        teachers=dict(wide=dict(**unet, base_channels=64)),
        teacher_checkpoints=[],
        teacher_interval=1,
        discriminator=_base_.patch,
        student_discriminator=dict(
            type='mmgan_compress.GatedPatchDiscriminator', discriminator=_base_.patch, threshold=0.5
        ),
        losses=[dict(**_base_.cooperative_loss, layers=_base_.unet_layers)],
        gan_type='hinge',
        pixel_loss_weight=100.0,
        schedule=dict(epochs=250, constant=100, block=5),
    ),
)

optim_wrapper = dict(**_base_.gated)
# published: the teacher's rate never decays, the gates' falls by steps
default_hooks = dict(rate=dict(constant=['teachers', 'discriminators'], steps=dict(gates=0.1)))

# no crop, no flip
train_dataloader = dict(batch_size=1, dataset=dict(load_size=256, flip=False))

# compared layer by layer with a ResNet, as one
demo = {
    'model.generator': _base_.demo_student,
    # at full weight it has matched features, but not yet made images, when
    # the demo ends: worse than without a teacher
    'model.distiller.losses.0.weight': 0.1,
}
