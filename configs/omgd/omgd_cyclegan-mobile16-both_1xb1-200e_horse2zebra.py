# OMGD, CycleGAN, horse <-> zebra: a student for each direction. The paper
# distils one; its code would distil B -> A against weights that are never
# written (OMGD/distillers/cycleganbest_distiller.py).
_base_ = '../omgd_cyclegan.py'

domain_a, domain_b = 'horse', 'zebra'

model = dict(reachable_domains=[domain_a, domain_b])

fid_a = dict(type='mmgan_compress.FrechetDistance', domain=domain_a)
fid_b = dict(type='mmgan_compress.FrechetDistance', domain=domain_b)
side_a = dict(
    data_root='data/horse2zebra', layout='unpaired', side='A', size=256)
side_b = dict(side_a, side='B')
val_evaluator = dict(metrics=[
    dict(**fid_a, reference=dict(**side_a, split='train')),
    dict(**fid_b, reference=dict(**side_b, split='train'))
])
test_evaluator = dict(metrics=[
    dict(**fid_a, reference=dict(**side_a, split='train+test')),
    dict(**fid_b, reference=dict(**side_b, split='train+test'))
])
# Each generator of the teacher is kept by the metric of its own direction, and
# so is each of the student's.
custom_hooks = [
    dict(
        type='mmgan_compress.TeacherSelectionHook',
        metrics={d: [f'{d}/FID'] for d in (domain_a, domain_b)})
]

demo = _base_.demo_both
