# GAN Compression: the super-net, which contains the student of the others.
_base_ = ['task.py', '../../../../configs/_base_/losses/gan_compression_losses.py']

arch = dict(_base_.student, base_channels=10)
model = dict(
    generator=dict(
        _delete_=True, type='mmgan_compress.SuperNet', arch=arch, space=[[10, 8, 6, 4]] * 8
    ),
    distiller=dict(
        type='mmgan_compress.GANCompressionPix2Pix',
        discriminator=None,
        student_discriminator=_base_.patch,
        gan_type='hinge',
        pixel_loss_weight=100.0,
        losses=[dict(_base_.feature_map_loss, layers='auto')],
    ),
)
optim_wrapper = dict(student_discriminators=_base_.playing.student_discriminators)
default_hooks = dict(
    rate=dict(share=0.5), subnets=dict(type='mmgan_compress.SubnetSamplingHook', rule='uniform')
)
