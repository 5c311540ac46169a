# Stage 3 of GS-8: what is left rounds as it did while it was slimmed.
_base_ = 'gan_slimming_cyclegan-finetune_1xb16-200e_horse2zebra.py'

model = dict(distiller=dict(quantize=dict(activation_max=4.0, levels=256)))
# mmgan-compress quantize then exports the 8 bits that were trained
custom_hooks = [dict(type='mmgan_compress.FakeQuantScalesHook')]
