# The same with both directions scored: each has a student of its own.
_base_ = 'cyclegan.py'

domain_a, demo = _base_.domain_a, _base_.demo_both
fid = dict(type='mmgan_compress.FrechetDistance', domain=domain_a)
reference = dict(_base_.reference, side='A')
val_evaluator = dict(metrics=[
    *_base_.val_evaluator.metrics,
    dict(**fid, reference=dict(**reference, split='train'))
])
test_evaluator = dict(metrics=[
    *_base_.test_evaluator.metrics,
    dict(**fid, reference=dict(**reference, split='train+test'))
])
