# What every run has in common: it lasts CPU minutes, nothing is selected on
# the way, and `mmgan-compress test` scores what it ends with.
forever = dict(epochs=10**9, constant=10**9, block=10**9, iters_per_epoch=1)
budget_hooks = dict(
    rate=dict(_delete_=True, type='mmgan_compress.BudgetHook'),
    checkpoint=dict(interval=500),
    student=dict(metric=None),
)
imports = ['mmgan_compress.registry', 'projects.leaderboard.budget']
# of students that learn from a teacher and have no other opponent
learning = dict(
    constructor='MultiOptimWrapperConstructor',
    student=dict(
        modules=['generators', 'distiller.losses'],
        optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.999)),
    ),
)
# plain imitation: the teacher's image by two cheap losses, nothing else
imitation_losses = [
    dict(type='mmgan_compress.SSIMLoss', weight=10.0),
    dict(type='mmgan_compress.SlimmingPixelLoss', weight=50.0),
]
