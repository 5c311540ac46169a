# Fast GAN Compression, Pix2Pix, map -> aerial photograph: one sub-network by
# itself, by default the one that the authors published
# (scripts/pix2pix/map2sat_fast/finetune.sh).
_base_ = 'gan_compression_pix2pix-mobile48-finetune_1xb1-300e_maps.py'

model = dict(
    generator=dict(arch=dict(base_channels=64), configuration=_base_.published.maps.fast),
    distiller=dict(
        teachers=dict(wide=dict(_delete_=True, **_base_.dense)),
        teacher_checkpoints=['teachers/pix2pix-dense_maps.pth'],
        losses=[dict(_base_.loss, target_layers=_base_.resnet_layers)],
    ),
)
