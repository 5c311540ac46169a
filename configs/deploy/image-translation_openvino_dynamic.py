_base_ = ['_base_/task.py', '_base_/onnx_dynamic.py', '_base_/backends/openvino.py']
backend_config = dict(model_inputs=[dict(opt_shapes=dict(input=[1, 3, 256, 256]))])
