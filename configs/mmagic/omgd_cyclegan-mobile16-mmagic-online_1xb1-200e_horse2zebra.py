# OMGD, online: mmagic's CycleGAN goes on training from its checkpoint, as in
# omgd_cyclegan-mobile16-mmagic, and teaches meanwhile.
_base_ = '../omgd_cyclegan.py'

generator = dict(
    type='ResnetGenerator',
    in_channels=3,
    out_channels=3,
    base_channels=64,
    norm_cfg=dict(type='IN'),
    num_blocks=9,
)
channel_loss = dict(**_base_.channel_loss, target_layers=_base_.resnet_layers)

model = dict(
    distiller=dict(
        teacher=dict(generator=dict(_delete_=True, **generator)),
        losses=[*_base_.omgd_losses, channel_loss],
        teacher_checkpoints=['teachers/mmagic_horse2zebra.pth'],
    )
)
