# The demo's unpaired teacher: flat -> 3-D emoji, 64 px, trained from nothing
# on the full set. Made by: python tools/prepare_data.py flat2emoji --size 64
# --out data/flat2emoji64; python tools/train.py configs/demo/<this file>
_base_ = '../omgd_cyclegan.py'

domain_a, domain_b = 'flat', 'emoji'
dataset = dict(
    data_root='data/flat2emoji64',
    domains=[domain_a, domain_b],
    size=64,
    load_size=72)
teacher = dict(
    generator=dict(base_channels=24),
    discriminator=dict(base_channels=16),
    default_domain=domain_b,
    reachable_domains=[domain_a, domain_b],
    related_domains=[domain_a, domain_b])
model = dict(
    generator=dict(base_channels=8),
    default_domain=domain_b,
    reachable_domains=[domain_b],
    related_domains=[domain_a, domain_b],
    distiller=dict(
        teacher=teacher,
        # the student is not what is wanted here: one epoch, no VGG
        terms=[dict(type='mmgan_compress.SSIMTerm')],
        schedule=dict(epochs=60, constant=30, block=60, student_epochs=1)))
train_dataloader = dict(batch_size=16, dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
