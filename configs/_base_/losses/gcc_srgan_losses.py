# GCC's losses in SRGAN; layers of the generators are the recipe's.
cooperative_loss = dict(
    type='mmgan_compress.CooperativeLoss',
    content_weight=0.1,  # lambda_content of GCC's script
    gram_weight=0.1,  # lambda_gram
    discriminator_layers=['model.1', 'model.3'],
)
# stage A: of the scales of batch norm
sparsity_loss = dict(type='mmgan_compress.SparsityLoss', weight=1e-2, on='scale')
