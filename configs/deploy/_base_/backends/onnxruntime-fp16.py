# norms stay in single precision: op_block_list is for mmdeploy, which has
# no list of its own for them
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
