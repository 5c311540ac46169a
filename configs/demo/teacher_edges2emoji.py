# The demo's paired teachers: edges -> 3-D emoji, 64 px, trained from
# nothing on the full set. Made by: python tools/prepare_data.py edges2emoji
# --size 64 --out data/edges2emoji64; python tools/train.py
# configs/demo/<this file>
_base_ = '../omgd_pix2pix.py'

domain_a, domain_b = 'edges', 'emoji'
dataset = dict(
    data_root='data/edges2emoji64',
    domains=[domain_a, domain_b],
    size=64,
    load_size=72)
model = dict(
    generator=dict(base_channels=4, num_down=5),
    default_domain=domain_b,
    reachable_domains=[domain_b],
    related_domains=[domain_a, domain_b],
    distiller=dict(
        teachers=dict(
            wide=dict(base_channels=14, num_down=5),
            deep=dict(base_channels=4, num_down=5)),
        discriminator=dict(base_channels=12),
        # the student is not what is wanted here: one cheap term, no VGG
        terms=[dict(type='mmgan_compress.SSIMTerm')],
        schedule=dict(epochs=24, constant=12, block=24)))
train_dataloader = dict(num_workers=1, dataset=dataset)
# nothing is selected: what training ends with is the teacher
val_dataloader = val_cfg = val_evaluator = None
test_dataloader = test_cfg = test_evaluator = None
custom_hooks = []
default_hooks = dict(
    checkpoint=dict(interval=500, save_optimizer=False),
    student=None,
    report=None)
