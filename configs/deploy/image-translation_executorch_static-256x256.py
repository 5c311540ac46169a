_base_ = ['_base_/task.py', '_base_/onnx_static-256x256.py', '_base_/backends/executorch.py']
