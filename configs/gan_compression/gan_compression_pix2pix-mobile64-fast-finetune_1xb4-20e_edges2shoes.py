# Fast GAN Compression, Pix2Pix: one sub-network by itself, by default the one
# that the authors published (scripts/pix2pix/edges2shoes-r_fast/finetune.sh).
_base_ = 'gan_compression_pix2pix-mobile48-finetune_1xb4-20e_edges2shoes.py'

model = dict(
    generator=dict(arch=dict(base_channels=64), configuration=_base_.published.edges2shoes.fast),
    distiller=dict(
        teachers=dict(wide=dict(_delete_=True, **_base_.dense)),
        teacher_checkpoints=['teachers/pix2pix-dense_edges2shoes.pth'],
        losses=[dict(_base_.loss, target_layers=_base_.resnet_layers)],
    ),
)
