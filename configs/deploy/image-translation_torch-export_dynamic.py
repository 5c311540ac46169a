_base_ = ['_base_/task.py', '_base_/onnx_dynamic.py', '_base_/backends/torch-export.py']
