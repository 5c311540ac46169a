# A finished CycleGAN, horse -> zebra, imitated by its pictures alone: no
# discriminator, no ground truth. No published recipe: losses and learning rate
# had the smallest LPIPS after the same CPU minutes on photographs (docs/results.md,
# tuned_vgg). `make demo` runs it with settings of its own, see below.
_base_ = [
    'omgd_cyclegan-mobile16-offline_1xb1-200e_horse2zebra.py',
    '../_base_/losses/imitation_losses.py',
]

batch_size = 4
imitation = _base_.imitation
model = dict(
    distiller=dict(
        type='mmgan_compress.UnpairedOnlineDistiller',
        losses=[*imitation, dict(type='mmgan_compress.PerceptualLoss', weight=10.0)],
    )
)
optim_wrapper = dict(
    student=dict(modules=['generators'], optimizer=dict(_base_.optimizer, lr=1e-3))
)
train_dataloader = dict(batch_size=batch_size, dataset=dict(shuffle_colours=[_base_.domain_a]))

demo = {
    'train_dataloader.batch_size': batch_size,
    'train_dataloader.dataset.load_size?': 64,  # as the test images are
    # a tiny student on small flat images takes a larger rate, needs more weight
    # for the colours, and a VGG would take most of its time
    'optim_wrapper.student.optimizer.lr?': 3e-3,
    'model.distiller.losses': [imitation[0], dict(imitation[1], weight=200.0)],
    'train_dataloader.dataset.shuffle_colours': ['flat'],
    # 90 images and their mirrors, in six orders of colours
    'model.distiller.remembered_images': 1080,
    # a tenth of the teacher's MACs
    'model.generator.base_channels?': 5,
    'model.generator.num_blocks': 6,
    'model.distiller.schedule': dict(
        _delete_=True, epochs=7500, constant=3750, block=1875, iters_per_epoch=1
    ),
}
