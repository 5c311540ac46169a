_base_ = ['onnx.py']
onnx_config = dict(input_shape=[256, 256])
