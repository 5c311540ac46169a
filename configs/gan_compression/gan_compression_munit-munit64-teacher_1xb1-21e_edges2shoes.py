# GAN Compression, MUNIT, edges -> shoes: the original networks, two
# auto-encoders (scripts/munit/edges2shoes-r_fast/train_full.sh). The generator of
# shoes is the teacher: it is assembled as it trains.
_base_ = '../_base_/munit.py'

domain_a, domain_b = _base_.domain_a, _base_.domain_b
model = dict(
    generator=dict(**_base_.munit, base_channels=64),
    reachable_domains=[domain_a, domain_b],
    distiller=dict(
        type='mmgan_compress.AdversarialMUNIT',
        student_discriminator=_base_.discriminator,
        image_loss_weight=10.0,
        style_loss_weight=1.0,
        content_loss_weight=1.0,
        gan_loss_weight=1.0,
        # in iterations: the rate is halved every 100,000
        schedule=dict(
            epochs=1_000_000, constant=1_000_000, block=50_000, iters_per_epoch=1, halving=100_000
        ),
    ),
)
# of both domains, for generators and for discriminators; nothing is held out
train_dataloader = dict(dataset=dict(noise_size=4 * _base_.style_size, hold_out=0))

demo = {**_base_.demo_munit_both, 'train_dataloader.dataset.noise_size': 4 * _base_.style_size}
