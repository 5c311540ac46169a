# The demo's unpaired teacher: flat -> 3-D emoji, 64 px, on the full set. From
# which weights the shipped one went on: mmgan_compress/datasets/demo/TEACHERS.md.
# Made by: mmgan-compress data flat2emoji --import projects.demo_data.emoji
# --size 64 --out data/flat2emoji64; mmgan-compress train configs/demo/<this file>
_base_ = '../omgd_cyclegan.py'

domain_a, domain_b = 'flat', 'emoji'
dataset = dict(data_root='data/flat2emoji64', domains=[domain_a, domain_b], size=64, load_size=72)
teacher = dict(
    generator=dict(
        _delete_=True,
        type='mmgan_compress.ResizeResnetGenerator',
        base_channels=12,
        num_blocks=6,
        norm_cfg=dict(type='IN'),
    ),
    discriminator=dict(base_channels=12),
    default_domain=domain_b,
    reachable_domains=[domain_a, domain_b],
    related_domains=[domain_a, domain_b],
)
model = dict(
    generator=dict(base_channels=8),
    default_domain=domain_b,
    reachable_domains=[domain_b],
    related_domains=[domain_a, domain_b],
    distiller=dict(
        teacher=teacher,
        # the student is not what is wanted here: one epoch, no VGG
        losses=[dict(type='mmgan_compress.SSIMLoss')],
        schedule=dict(epochs=4, constant=1, block=4, student_epochs=1),
    ),
)
train_dataloader = dict(num_workers=1, dataset=dataset)
# nothing is selected: what training ends with is the teacher
val_dataloader = val_cfg = val_evaluator = None
test_dataloader = test_cfg = test_evaluator = None
# the average of the last thousands of iterations has less noise than the last
custom_hooks = [dict(type='EMAHook', momentum=5e-4)]
default_hooks = dict(checkpoint=dict(interval=500, save_optimizer=False), student=dict(metric=None))
