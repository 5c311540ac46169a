# OMGD, offline: mmagic's CycleGAN teaches, a ResNet of 64 base channels, by a
# checkpoint of mmagic whose channels `convert --bgr` has turned to RGB.
_base_ = '../offline/omgd_cyclegan-mobile16-offline_1xb1-200e_horse2zebra.py'

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
