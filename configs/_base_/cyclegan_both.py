# The same with both directions scored: each has a student of its own.
_base_ = ['cyclegan.py', 'horse2zebra_both.py']

demo = _base_.demo_both
val_evaluator = dict(metrics=_base_.val_metrics_of_both)
test_evaluator = dict(metrics=_base_.test_metrics_of_both)
