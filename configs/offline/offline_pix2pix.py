# A finished Pix2Pix, edges -> shoes (mmagic's U-Net), and the truth: the student
# imitates the teacher's pictures and plays against a discriminator of its own. No
# published recipe: losses and learning rate had the smallest FID after the same CPU
# minutes on edges -> emoji (docs/results.md, tuned_memory_gan).
_base_ = [
    '../plain/plain_pix2pix-mobile16_1xb4-200e_edges2shoes.py',
    '../_base_/losses/imitation_losses.py',
]

model = dict(
    distiller=dict(
        offline=True,
        teachers=dict(wide=dict(**_base_.generator, base_channels=64)),
        teacher_checkpoints=['teachers/pix2pix_edges2shoes.pth'],
        losses=_base_.imitation,
        pixel_loss_weight=30.0,  # to the truth
    )
)
optim_wrapper = dict(student=dict(optimizer=dict(_base_.optimizer, lr=1e-3)))

demo = {'model.distiller.teacher_checkpoints': ['{data}/teacher_edges2emoji_wide.pth']}
