# Plain imitation: the teacher's image by two cheap losses, nothing else.
_base_ = 'task.py'

model = dict(
    distiller=dict(
        losses=[
            dict(type='mmgan_compress.SSIMLoss', weight=10.0),
            dict(type='mmgan_compress.SlimmingPixelLoss', weight=50.0),
        ]
    )
)
