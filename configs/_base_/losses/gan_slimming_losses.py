# GAN Slimming's loss: beta 20 (the paper's scripts).
gan_slimming_losses = [dict(type='mmgan_compress.SlimmingPerceptualLoss', weight=20.0)]
