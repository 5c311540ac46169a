# CRD, Pix2Pix: the patch loss as the published code computes it, which takes
# the three colour planes of a few patches of the first image as samples.
_base_ = '../crd_pix2pix.py'

model = dict(distiller=dict(relation=dict(patches='published')))
