backend_config = dict(
    type='tensorrt',
    processor='gpu',  # all of 8 bits: it sums in 32
    common_config=dict(fp16_mode=False, int8_mode=True, max_workspace_size=1 << 30),
    # first and last convolution and the norms stay float
    quantization_config=dict(skip=['first', 'rgb', 'norms']),
)
