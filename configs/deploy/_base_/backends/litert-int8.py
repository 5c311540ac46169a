# mmdeploy has no such backend: for mmgan-compress export only
backend_config = dict(
    type='litert',
    precision='int8',
    processor='phone',  # all of 8 bits: it sums in 32
    # first and last convolution and the norms stay float
    quantization_config=dict(skip=['first', 'rgb', 'norms']),
)
