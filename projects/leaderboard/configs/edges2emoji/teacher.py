# The wide teacher as it is. All students are scored by this recipe.
_base_ = 'task.py'

model = dict(
    generator=dict(
        _delete_=True,
        **_base_.wide,
        init_cfg=dict(
            type='Pretrained', checkpoint='teachers/edges2emoji_wide.pth', prefix='teachers.wide'
        ),
    )
)
test_dataloader = dict(_delete_=True, **_base_.scoring_dataloader)
test_cfg = dict(_delete_=True, type='TestLoop')
test_evaluator = dict(_delete_=True, type='mmgan_compress.Evaluator', **_base_.scoring_evaluator)
