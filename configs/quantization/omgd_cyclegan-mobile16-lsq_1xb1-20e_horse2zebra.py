# As the recipe with qat; the steps of the grids are learnt.
_base_ = 'omgd_cyclegan-mobile16-qat_1xb1-20e_horse2zebra.py'

custom_hooks = [dict(type='mmgan_compress.QuantizationAwareHook', algorithm='lsq')]
