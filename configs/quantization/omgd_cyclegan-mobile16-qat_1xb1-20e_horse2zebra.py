# A student of OMGD's CycleGAN learns on in 8 bits: its convolutions round
# while a finished teacher teaches it. Start from a student that was trained:
# --cfg-options load_from=work_dirs/omgd_cyclegan/student.pth
_base_ = '../offline/omgd_cyclegan-mobile16-offline_1xb1-200e_horse2zebra.py'

model = dict(distiller=dict(schedule=dict(epochs=20, constant=10)))

# first and last convolution and the norms stay float
custom_hooks = [dict(type='mmgan_compress.QuantizationAwareHook', algorithm='qat')]
