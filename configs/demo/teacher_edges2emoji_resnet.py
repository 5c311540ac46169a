# The demo's paired ResNet teachers, made like those of
# teacher_edges2emoji_unet.py.
_base_ = '../omgd/omgd_pix2pix-mobile16_1xb4-200e_edges2shoes.py'

domain_a, domain_b = 'edges', 'emoji'
dataset = dict(
    data_root='data/edges2emoji64',
    domains=[domain_a, domain_b],
    size=64,
    load_size=72)
model = dict(
    generator=dict(base_channels=8),
    default_domain=domain_b,
    reachable_domains=[domain_b],
    related_domains=[domain_a, domain_b],
    distiller=dict(
        teachers=dict(
            wide=dict(base_channels=24), deep=dict(base_channels=6)),
        discriminator=dict(base_channels=16),
        terms=[dict(type='mmgan_compress.SSIMTerm')],
        schedule=dict(epochs=60, constant=30, block=60)))
train_dataloader = dict(batch_size=8, dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
