# Baseline: the student of omgd_cyclegan and crd_cyclegan, without a teacher.
# A CycleGAN needs a generator for either direction; that of the default
# domain is what the distilled students compare with.
_base_ = '../omgd_cyclegan.py'

model = dict(
    reachable_domains=_base_.model.related_domains,
    distiller=dict(
        _delete_=True,
        type='mmgan_compress.AdversarialCycleGAN',
        student_discriminator=_base_.teacher.discriminator,
        schedule=dict(epochs=200, constant=100, block=10),
    ),
)

optim_wrapper = dict(_delete_=True, **_base_.playing)
custom_hooks = []

demo = {**_base_.demo_both, 'model.distiller.schedule': dict(_delete_=True, **_base_.demo_steps)}
