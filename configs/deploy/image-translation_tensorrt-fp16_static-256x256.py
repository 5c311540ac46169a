_base_ = ['_base_/task.py', '_base_/onnx_static-256x256.py', '_base_/backends/tensorrt-fp16.py']
backend_config = dict(
    model_inputs=[
        dict(
            input_shapes=dict(
                input=dict(
                    min_shape=[1, 3, 256, 256],
                    opt_shape=[1, 3, 256, 256],
                    max_shape=[1, 3, 256, 256],
                )
            )
        )
    ]
)
