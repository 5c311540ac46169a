_base_ = ['_base_/task.py', '_base_/onnx_dynamic.py', '_base_/backends/tensorrt-int8.py']
backend_config = dict(
    model_inputs=[
        dict(
            input_shapes=dict(
                input=dict(
                    min_shape=[1, 3, 128, 128],
                    opt_shape=[1, 3, 256, 256],
                    max_shape=[4, 3, 512, 512],
                )
            )
        )
    ]
)
