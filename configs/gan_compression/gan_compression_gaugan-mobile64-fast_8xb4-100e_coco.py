# Fast GAN Compression, GauGAN, COCO-Stuff: a wider super-net from nothing,
# taught by the original generator (scripts/gaugan/coco_fast). Instance maps
# (valI, trainI) have a number for each thing, and the label of stuff.
_base_ = '../gan_compression_gaugan.py'

data_root = 'data/coco_stuff'
labels = dict(classes=182, dont_care=True)
spade = dict(labels=labels, upsampling='normal')
dataset = dict(data_root=data_root, labels=labels, aspect_ratio=1, hold_out=500, val_folder=False)
real = [dict(reference=dict(data_root=data_root))]
model = dict(
    generator=dict(arch=dict(**spade, base_channels=64), space='spade-channels-64'),
    distiller=dict(
        student_discriminator=dict(labels=labels),
        teachers=dict(wide=dict(**spade, separable=False)),
        teacher_checkpoints=['teachers/gaugan-spade64_coco.pth'],
        schedule=dict(epochs=100, constant=100, block=10),
    ),
)
train_dataloader = dict(batch_size=32, dataset=dict(**dataset, load_size=286))
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dict(**{**dataset, 'hold_out': 0, 'val_folder': True}))
val_evaluator = dict(
    metrics=[
        dict(
            **_base_.fid,
            reference=dict(**{**_base_.reference, 'data_root': data_root}, split='train'),
        )
    ]
)
test_evaluator = dict(
    metrics=[
        dict(
            **_base_.fid,
            reference=dict(**{**_base_.reference, 'data_root': data_root}, split='val'),
        ),
        dict(type='mmgan_compress.PairedQuality', domain=_base_.domain_b),
    ]
)
