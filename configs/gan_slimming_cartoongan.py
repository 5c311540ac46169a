# GAN Slimming of CartoonGAN, GS-32, on any photographs: the network that the
# paper compresses 47x. The teacher is one of its authors' (research only):
#
# mmgan-compress weights cartoongan-hayao
# mmgan-compress images teachers/cartoongan-hayao.pth \
#     data/photos/trainA --out data/photos/trainB     # and of testA
# mmgan-compress train configs/gan_slimming_cartoongan.py
#
# All stages:
# mmgan-compress pipeline gan_slimming_cartoongan-pipeline.py
# With --demo the networks are the small ones of every demo.
_base_ = '_base_/cartoon_slimming.py'

optim_wrapper = _base_.slimming
default_hooks = dict(slimming=_base_.soft_threshold)
train_dataloader = dict(batch_size=8)
