# GCC's losses in SAGAN.
cooperative_loss = dict(
    type='mmgan_compress.CooperativeLoss',
    content_weight=1.0,  # lambda_content of GCC's script
    gram_weight=1.0,  # lambda_gram
    # behind the second layer and behind the second attention
    layers=['model.1', 'model.5'],
    discriminator_layers=['model.1', 'model.5'],
)
# stage A: of the scales of batch norm
sparsity_loss = dict(type='mmgan_compress.SparsityLoss', weight=1e-2, on='scale')
