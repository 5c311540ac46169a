# What every recipe shares: loops, hooks, logging.
_base_ = 'layers.py'

default_scope = 'mmagic'
# makes mmagic importable (see mmgan_compress/compat.py) and our types known
custom_imports = dict(imports=['mmgan_compress.registry'], allow_failed_imports=False)

randomness = dict(seed=233)  # seed of the published scripts
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
model_wrapper_cfg = dict(type='mmgan_compress.DistributedTranslator')

# of generators and discriminators alike, in all of the papers
optimizer = dict(type='Adam', lr=2e-4, betas=(0.5, 0.999), fused=True)
# of a student that plays the GAN game itself, without a teacher
playing = dict(
    constructor='MultiOptimWrapperConstructor',
    student=dict(modules=['generators', 'distiller.losses'], optimizer=optimizer),
    student_discriminators=dict(modules=['distiller.student_discriminators'], optimizer=optimizer),
)
# ... against a discriminator with gates (GCC: alpha by Adam's own betas)
gated = dict(
    student_discriminators=dict(
        modules=[r'distiller\.student_discriminators\.\w+\.body'], optimizer=optimizer
    ),
    gates=dict(
        modules=[r'distiller\.student_discriminators\.\w+\.gates'],
        optimizer=dict(type='Adam', lr=1e-4),
    ),
)

# its length and the moments of validation follow model.distiller.schedule
train_cfg = dict(type='mmgan_compress.DistillTrainLoop')
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

default_hooks = dict(
    runtime_info=dict(type='mmgan_compress.LossLogHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=100, log_metric_by_epoch=False),
    progress=dict(type='mmgan_compress.ProgressHook'),
    checkpoint=dict(
        type='CheckpointHook',
        interval=5000,
        by_epoch=False,
        max_keep_ckpts=2,
        save_param_scheduler=False,
        backend_args=dict(backend='atomic'),
    ),
    state=dict(type='mmgan_compress.TrainingStateHook'),
    rate=dict(type='mmgan_compress.ScheduledLRHook'),
    student=dict(type='mmgan_compress.StudentHook'),
    report=dict(type='mmgan_compress.ReportHook'),
)
log_processor = dict(type='LogProcessor', window_size=100, by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False

# Add dict(type='TensorboardVisBackend') for losses and images in TensorBoard.
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='Visualizer', vis_backends=vis_backends)
