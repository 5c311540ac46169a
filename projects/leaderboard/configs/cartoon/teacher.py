# The teacher as it is. All students are scored by this recipe.
_base_ = 'task.py'

model = dict(
    generator=dict(
        _delete_=True, type='mmgan_compress.FromStudent', file='teachers/cartoongan-hayao.pth'
    )
)
test_dataloader = dict(_delete_=True, **_base_.scoring_dataloader)
test_cfg = dict(_delete_=True, type='TestLoop')
test_evaluator = dict(_delete_=True, type='mmgan_compress.Evaluator', **_base_.scoring_evaluator)
