# The teacher of one direction, scored as it is.
_base_ = 'task.py'

model = dict(
    generator=dict(
        _delete_=True,
        **_base_.wide,
        init_cfg=dict(
            type='Pretrained', checkpoint='teachers/elpv.pth', prefix='teacher.generators.poly'
        ),
    )
)
