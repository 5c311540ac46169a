# Tried: plain imitation, and the fine strokes by their wavelets.
_base_ = 'imitation.py'

strokes = dict(type='mmgan_compress.WaveletLoss', weight=0.4, levels=4)
model = dict(distiller=dict(losses=[*_base_.model.distiller.losses, strokes]))
