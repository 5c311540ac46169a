# The demo's paired teachers: edges -> 3-D emoji, 64 px, trained from nothing
# on the full set. ResNets: at 64 px a U-Net of this size loses the edges.
# Made by: mmgan-compress data edges2emoji --import
# projects.demo_data.emoji --size 64 --out
# data/edges2emoji64; mmgan-compress train configs/demo/<this file>
_base_ = '../omgd_pix2pix.py'

norm_cfg = dict(type='IN')
domain_a, domain_b = 'edges', 'emoji'
dataset = dict(data_root='data/edges2emoji64', domains=[domain_a, domain_b], size=64, load_size=72)
model = dict(
    generator=dict(
        _delete_=True,
        type='mmgan_compress.SeparableResnetGenerator',
        norm_cfg=norm_cfg,
        base_channels=4,
    ),
    default_domain=domain_b,
    reachable_domains=[domain_b],
    related_domains=[domain_a, domain_b],
    distiller=dict(
        teachers=dict(
            wide=dict(
                _delete_=True,
                type='ResnetGenerator',
                in_channels=3,
                out_channels=3,
                base_channels=20,
                num_blocks=6,
                norm_cfg=norm_cfg,
            ),
            deep=dict(
                _delete_=True,
                type='mmgan_compress.DeepSeparableResnetGenerator',
                norm_cfg=norm_cfg,
                base_channels=6,
            ),
        ),
        discriminator=dict(base_channels=16, norm_cfg=norm_cfg, shared=3),
        # the student is not what is wanted here: one cheap loss, no VGG
        losses=[dict(type='mmgan_compress.SSIMLoss')],
        schedule=dict(epochs=5, constant=2, block=5),
    ),
)
train_dataloader = dict(num_workers=1, batch_size=1, dataset=dataset)
# nothing is selected: what training ends with are the teachers
val_dataloader = val_cfg = val_evaluator = None
test_dataloader = test_cfg = test_evaluator = None
default_hooks = dict(checkpoint=dict(interval=500, save_optimizer=False), student=dict(metric=None))
