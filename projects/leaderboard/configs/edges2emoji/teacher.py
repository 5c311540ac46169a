# The wide teacher, scored as it is.
_base_ = 'task.py'

model = dict(
    generator=dict(
        _delete_=True,
        **_base_.wide,
        init_cfg=dict(
            type='Pretrained', checkpoint='teachers/edges2emoji.pth', prefix='teachers.wide'
        ),
    )
)
