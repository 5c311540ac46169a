# The demo's GauGAN teacher: label maps -> 3-D emoji, 64 px, on the 90 shipped
# pairs: the squared distance to the truth alone, in two minutes of one core.
# Made by: mmgan-compress train configs/demo/<this file>; see
# mmgan_compress/datasets/demo/TEACHERS.md.
_base_ = '../_base_/gaugan.py'

labels = dict(classes=16)
domain_a, domain_b = 'labels', 'emoji'
dataset = dict(
    data_root='mmgan_compress/datasets/demo/flat2emoji',
    domains=[domain_a, domain_b],
    labels=labels,
    label_side='L',
    size=64,
    load_size=70,
    aspect_ratio=1,
    hold_out=0,
    val_folder=True,
)
model = dict(
    generator=dict(
        type='mmgan_compress.SPADEGenerator', labels=labels, base_channels=7, separable=True
    ),
    default_domain=domain_b,
    reachable_domains=[domain_b],
    related_domains=[domain_a, domain_b],
    distiller=dict(
        type='mmgan_compress.PairedOnlineDistiller',
        offline=True,
        teachers=dict(truth=dict(type='mmgan_compress.TruthTeacher')),
        losses=[dict(type='mmgan_compress.PixelLoss', weight=1.0)],
        schedule=dict(epochs=500, constant=250, block=500, iters_per_epoch=1),
    ),
)
train_dataloader = dict(num_workers=0, persistent_workers=False, batch_size=4, dataset=dataset)
# nothing is selected: what training ends with is the teacher
val_dataloader = val_cfg = val_evaluator = None
test_dataloader = test_cfg = test_evaluator = None
optim_wrapper = dict(
    _delete_=True,
    constructor='MultiOptimWrapperConstructor',
    student=dict(
        modules=['generators'], optimizer=dict(type='Adam', lr=2e-3, betas=(0.5, 0.999), fused=True)
    ),
)
default_hooks = dict(
    checkpoint=dict(interval=200, save_optimizer=False),
    logger=dict(interval=20),
    student=dict(metric=None),
)
