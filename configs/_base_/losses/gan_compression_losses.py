# GAN Compression's loss; layers are the recipe's. lambda_distill of the
# authors' scripts: 1 for edges2shoes and Cityscapes, 0.01 for horse2zebra and
# maps.
feature_map_loss = dict(type='mmgan_compress.FeatureMapLoss', weight=1.0)
