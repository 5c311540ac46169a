"""The files that mmdeploy lays beside a converted model."""
from pathlib import Path

import mmagic

# whose layout this is: mmdeploy/backend/sdk/export_info.py
MMDEPLOY = '1.3.1'
TASK = 'ImageTranslation'
# Not mmdeploy's own 'TensorToImg': that multiplies by 255 only, and would
# paint all that is below 0 in [-1, 1] black. Its C++ SDK refuses a name that
# it does not have, which is better than a wrong picture.
POSTPROCESS = 'TranslationToImg'


def sdk_files(student: Path, meta: dict, size: int, dynamic: bool,
              opset: int) -> dict[str, dict]:
    """Describe an ONNX export as mmdeploy does.

    Args:
        student (Path): Student file.
        meta (dict): Its ``net.meta``.
        size (int): Side of the images; the one exported with if dynamic.
        dynamic (bool): Whether batch, height and width are free.
        opset (int): ONNX opset.

    Returns:
        dict[str, dict]: Contents of ``deploy.json``, ``pipeline.json`` and
        ``detail.json`` by file name.
    """
    name = meta['generator']['type'].split('.')[-1].lower()
    model = dict(name=name, net='end2end.onnx', weights='',
                 backend='onnxruntime', precision='FP32', batch_size=1,
                 dynamic_shape=dynamic)
    axes = {0: 'batch', 2: 'height', 3: 'width'}
    return {
        'deploy.json': dict(version=MMDEPLOY, task=TASK, models=[model],
                            customs=[]),
        'pipeline.json': _pipeline(name, meta, size, dynamic),
        'detail.json': dict(
            version=MMDEPLOY,
            codebase=dict(task=TASK, codebase='mmagic',
                          version=mmagic.__version__, pth=str(student),
                          config=''),
            codebase_config=dict(type='mmagic', task=TASK,
                                 model_type='end2end'),
            onnx_config=dict(
                type='onnx', export_params=True,
                keep_initializers_as_inputs=False, opset_version=opset,
                save_file='end2end.onnx', input_names=['input'],
                output_names=['output'],
                input_shape=None if dynamic else [size, size],
                dynamic_axes=dict(input=axes, output=axes) if dynamic
                else None),
            backend_config=dict(type='onnxruntime'),
            calib_config=dict())
    }


def _pipeline(name: str, meta: dict, size: int, dynamic: bool) -> dict:
    if dynamic:
        fit = dict(type='Pad', size_divisor=meta['size_multiple'],
                   padding_mode='reflect')
    else:
        fit = dict(type='Resize', size=[size, size], keep_ratio=False,
                   interpolation='bicubic')
    transforms = [
        dict(type='LoadImageFromFile'), fit,
        dict(type='Normalize', mean=[127.5] * 3, std=[127.5] * 3,
             to_rgb=True),
        dict(type='ImageToTensor', keys=['img']),
        dict(type='Collect', keys=['img'],
             meta_keys=['ori_shape', 'img_shape', 'img_norm_cfg'])
    ]
    tasks = [
        dict(type='Task', module='Transform', name='Preprocess',
             input=['img'], output=['prep_output'], transforms=transforms),
        dict(type='Task', module='Net', name=name, is_batched=dynamic,
             input=['prep_output'], output=['infer_output'],
             input_map=dict(img='input'), output_map=dict()),
        dict(type='Task', module='mmedit', name='postprocess',
             component=POSTPROCESS, params=dict(value_range=[-1, 1]),
             output=['post_output'], input=['prep_output', 'infer_output'])
    ]
    return dict(pipeline=dict(input=['img'], output=['post_output'],
                              tasks=tasks))
