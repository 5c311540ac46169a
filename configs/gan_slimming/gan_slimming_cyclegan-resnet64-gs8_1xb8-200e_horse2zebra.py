# GS-8: the student computes in 8 bits while it is slimmed. `levels=256` is
# the published grid; leave it out for the 255 steps of true int8.
_base_ = '../gan_slimming_cyclegan.py'

model = dict(distiller=dict(quantize=dict(activation_max=4., levels=256)))
# tools/quantize.py then exports the 8 bits that were trained
custom_hooks = [dict(type='mmgan_compress.FakeQuantScalesHook')]
