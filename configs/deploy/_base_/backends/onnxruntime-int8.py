backend_config = dict(
    type='onnxruntime',
    precision='int8',
    # first and last convolution and the norms stay float
    quantization_config=dict(skip=['first', 'rgb', 'norms']),
)
