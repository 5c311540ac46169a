# GCC, CycleGAN, horse <-> zebra: stage C, cooperative training, of the
# published generators (GCC/models/CycleGAN.py overwrites the result of its
# search by these lists). `mmgan-compress pipeline configs/gcc/gcc_cyclegan-
# pipeline.py` puts searched ones in their place. Source of each figure: GCC's
# scripts and options for horse2zebra (fixture options_cyclegan).
_base_ = ['_base_/cyclegan_both.py', '_base_/losses/gcc_cyclegan_losses.py']

domain_a, domain_b = _base_.domain_a, _base_.domain_b
arch = dict(**_base_.generator, base_channels=24)
# stem, two down-samplings, inside and behind each of nine blocks, two
# up-samplings; 2.4 and 2.7 G papers' MACs
widths = {
    domain_b: [
        24,
        48,
        86,
        72,
        86,
        47,
        86,
        44,
        86,
        43,
        86,
        43,
        86,
        29,
        86,
        30,
        86,
        37,
        86,
        36,
        86,
        48,
        24,
    ],
    domain_a: [
        24,
        48,
        96,
        91,
        96,
        73,
        96,
        62,
        96,
        61,
        96,
        74,
        96,
        54,
        96,
        51,
        96,
        58,
        96,
        81,
        96,
        48,
        24,
    ],
}
patch = dict(_base_.teacher.discriminator)
cooperative_loss = dict(**_base_.cooperative_loss, layers=_base_.separable_layers)
model = dict(
    type='mmgan_compress.DistillationModel',
    generator={
        domain_b: dict(type='mmgan_compress.SlimNetwork', arch=arch, widths=widths[domain_b]),
        domain_a: dict(type='mmgan_compress.SlimNetwork', arch=arch, widths=widths[domain_a]),
    },
    default_domain=domain_b,
    reachable_domains=[domain_a, domain_b],
    related_domains=[domain_a, domain_b],
    distiller=dict(
        type='mmgan_compress.GCCCycleGAN',
        teacher=_base_.teacher,
        teacher_checkpoints=[],
        buffer_size=50,  # models/CycleGAN.py:342; its --pool_size is unused
        # published: batch norm here, instance norm in the teacher's
        student_discriminator=dict(
            type='mmgan_compress.GatedPatchDiscriminator',
            discriminator=dict(patch, norm_cfg=dict(type='BN')),
            threshold=0.5,
        ),
        losses=[cooperative_loss],
        schedule=dict(epochs=200, constant=100, block=1),
    ),
)

optim_wrapper = dict(**_base_.teaching, **_base_.gated)
# published: the teacher's rate never decays, the gates' falls by steps
default_hooks = dict(rate=dict(constant=['teachers', 'discriminators'], steps=dict(gates=0.1)))

demo = {'model.generator': _base_.demo_student}
