_base_ = ['traced.py']
ir_config = dict(input_shape=[256, 256])
