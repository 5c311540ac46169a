# The teacher: what it costs.
_base_ = 'task.py'

model = dict(
    generator=dict(
        _delete_=True, type='mmgan_compress.FromStudent', file='teachers/cartoongan-hayao.pth'
    )
)
