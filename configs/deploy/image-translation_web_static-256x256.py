# ONNX Runtime Web: the page gives the model 8-bit pictures
_base_ = ['_base_/task.py', '_base_/onnx_static-256x256.py', '_base_/backends/web.py']
onnx_config = dict(uint8=True)
