# The demo's SAGAN teacher and its discriminator: faces of 3-D emoji, 64 px, from
# noise, on the 99 shipped ones.
# Made by: mmgan-compress train configs/demo/<this file>; see
# mmgan_compress/datasets/demo/TEACHERS.md.
_base_ = '../gcc/gcc_sagan-attention48-pretrain_1xb64-10e_celeba.py'

domain_a, domain_b = 'noise', 'emoji'
dataset = dict(
    data_root='mmgan_compress/datasets/demo/faces', domains=[domain_a, domain_b], crop=None
)
model = dict(
    generator=dict(base_channels=16),
    default_domain=domain_b,
    reachable_domains=[domain_b],
    related_domains=[domain_a, domain_b],
    distiller=dict(
        student_discriminator=dict(base_channels=24),
        losses=[],
        schedule=dict(epochs=4000, constant=4000, block=4000, iters_per_epoch=1),
    ),
)
train_dataloader = dict(num_workers=0, persistent_workers=False, batch_size=16, dataset=dataset)
# nothing is selected: what training ends with is the teacher
val_dataloader = val_cfg = val_evaluator = None
test_dataloader = test_cfg = test_evaluator = None
optim_wrapper = dict(
    student=dict(optimizer=dict(lr=4e-4)), student_discriminators=dict(optimizer=dict(lr=4e-4))
)
default_hooks = dict(
    checkpoint=dict(interval=500, save_optimizer=False),
    logger=dict(interval=100),
    student=dict(metric=None),
)
