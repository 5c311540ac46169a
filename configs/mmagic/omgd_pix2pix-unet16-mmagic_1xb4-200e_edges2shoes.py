# OMGD, offline: mmagic's Pix2Pix teaches, a U-Net of 64 base channels, by a
# checkpoint of mmagic whose channels `convert --bgr` has turned to RGB.
_base_ = '../omgd_pix2pix.py'

model = dict(
    distiller=dict(
        teachers=dict(
            _delete_=True, wide=dict(**_base_.generator, base_channels=64, use_dropout=True)
        ),
        discriminator=None,
        offline=True,
        teacher_checkpoints=['teachers/mmagic_edges2shoes.pth'],
    )
)
# no other network than the student learns
optim_wrapper = dict(
    _delete_=True,
    constructor='MultiOptimWrapperConstructor',
    student=dict(modules=['generators', 'distiller.losses'], optimizer=_base_.optimizer),
)
