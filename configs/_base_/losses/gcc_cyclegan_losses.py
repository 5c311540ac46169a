# GCC's losses in CycleGAN; layers of the generators are the recipe's.
cooperative_loss = dict(
    type='mmgan_compress.CooperativeLoss',
    content_weight=0.01,  # lambda_content of GCC's script
    gram_weight=10.0,  # lambda_gram
    discriminator_layers=['model.1', 'model.3'],
    root=False,
)
# stage A; the factors by layer are those of GCC/models/CycleGAN.py
sparsity_loss = dict(
    type='mmgan_compress.SparsityLoss',
    weight=1e-3,
    on='weight',
    factors={'model.1': 2.0, 'model.4': 2.0, 'model.19': 1000.0, 'model.22': 2.0},
)
