# CRD, Pix2Pix: the patch loss as the published code computes it, which takes
# the three colour planes of a few patches of the first image as samples.
_base_ = '../crd_pix2pix.py'

relation_loss, *others = _base_.crd_losses
model = dict(distiller=dict(losses=[dict(relation_loss, patches='published'), *others]))
