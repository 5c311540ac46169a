# OMGD, CycleGAN, horse <-> zebra: a student for each direction. The paper
# distils one; its code would distil B -> A against weights that are never
# written (OMGD/distillers/cycleganbest_distiller.py).
_base_ = ['../omgd_cyclegan.py', '../_base_/horse2zebra_both.py']

domain_a, domain_b = _base_.domain_a, _base_.domain_b
model = dict(reachable_domains=[domain_a, domain_b])
val_evaluator = dict(metrics=_base_.val_metrics_of_both)
test_evaluator = dict(metrics=_base_.test_metrics_of_both)
# Each generator of the teacher is kept by the metric of its own direction, and
# so is each of the student's.
custom_hooks = [
    dict(
        type='mmgan_compress.TeacherSelectionHook',
        metrics={d: [f'{d}/FID'] for d in (domain_a, domain_b)},
    )
]

demo = _base_.demo_both
