# The demo's paired U-Net teachers: edges -> 3-D emoji, 64 px, trained from
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
    generator=dict(base_channels=4, num_down=6),
    default_domain=domain_b,
    reachable_domains=[domain_b],
    related_domains=[domain_a, domain_b],
    distiller=dict(
        teachers=dict(
            wide=dict(base_channels=10, num_down=6),
            deep=dict(base_channels=3, num_down=6)),
        discriminator=dict(base_channels=12),
        # the student is not what is wanted here: one cheap term, no VGG
        terms=[dict(type='mmgan_compress.SSIMTerm')],
        schedule=dict(epochs=60, constant=30, block=60)))
train_dataloader = dict(batch_size=8, dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
