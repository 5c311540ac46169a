_base_ = ['_base_/task.py', '_base_/traced_dynamic.py', '_base_/backends/torchscript.py']
