# op_block_list, for mmdeploy too: what instance norms and 8-bit pictures consist
# of stays in single precision. In half precision the square of a value above 256
# is infinite, and means lose their digits.
backend_config = dict(
    type='onnxruntime',
    precision='fp16',
    common_config=dict(
        keep_io_types=True,
        op_block_list=[
            'InstanceNormalization',
            'ReduceMean',
            'Unsqueeze',
            'Reshape',
            'Sub',
            'Mul',
            'Add',
            'Sqrt',
            'Reciprocal',
            'Div',
            'Clip',
            'Round',
            'Cast',
        ],
    ),
)
