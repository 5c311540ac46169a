# GAN Compression, MUNIT, edges -> shoes, behind the teacher: all but the student.
_base_ = 'munit.py'

arch = dict(**_base_.munit, base_channels=64, separable=True)
model = dict(
    reachable_domains=[_base_.domain_b],
    distiller=dict(
        type='mmgan_compress.GANCompressionMUNIT',
        offline=True,
        # the content encoder of A's auto-encoder, all else of B's
        teachers=dict(wide=dict(**_base_.munit, base_channels=64)),
        teacher_checkpoints=['teachers/munit-munit64_edges2shoes.pth'],
        student_discriminator=_base_.discriminator,
        gan_type='lsgan',
        gan_loss_weight=1.0,
        pixel_loss_weight=10.0,
        style_loss_weight=1.0,
        losses=[
            dict(
                type='mmgan_compress.FeatureMapLoss',
                weight=1.0,
                layers=['enc_content'],
                distance='l1',
            )
        ],
        # in iterations: the rate is halved every 200,000
        schedule=dict(
            epochs=2_000_000, constant=2_000_000, block=100_000, iters_per_epoch=1, halving=200_000
        ),
    ),
)
