# mmdeploy has no such backend: for mmgan-compress export only
backend_config = dict(
    type='inductor',
    precision='int8',
    # first and last convolution and the norms stay float
    quantization_config=dict(skip=['first', 'rgb', 'norms']),
)
