"""The files that mmdeploy lays beside a converted model."""

from pathlib import Path

import mmagic

from ..models.student_config import channels_of
from .targets import TASK, Target, deploy_config

# whose layout this is: mmdeploy/backend/sdk/export_info.py
MMDEPLOY = '1.3.1'
# Not mmdeploy's own 'TensorToImg': that multiplies by 255 only, and would
# paint all that is below 0 in [-1, 1] black. Its C++ SDK refuses a name that
# it does not have, which is better than a wrong picture.
POSTPROCESS = 'TranslationToImg'


def sdk_files(
    student: Path, meta: dict, target: Target, size: int, files: list[str]
) -> dict[str, dict]:
    """Describe an export as mmdeploy does.

    Args:
        student (Path): Student file.
        meta (dict): Its ``net.meta``.
        target (Target): What it was exported for.
        size (int): Side of the images; the one exported with if dynamic.
        files (list[str]): The model's files, the one to open first.

    Returns:
        dict[str, dict]: Contents of ``deploy.json``, ``pipeline.json`` and
        ``detail.json`` by file name.
    """
    name = meta['generator']['type'].split('.')[-1].lower()
    weights = next((file for file in files if file.endswith('.bin')), '')
    model = dict(
        name=name,
        net=files[0],
        weights=weights,
        backend=target.backend,
        precision=target.precision.upper(),
        batch_size=1,
        dynamic_shape=target.dynamic,
    )
    return {
        'deploy.json': dict(version=MMDEPLOY, task=TASK, models=[model], customs=[]),
        'pipeline.json': _pipeline(name, meta, target, size),
        'detail.json': dict(
            version=MMDEPLOY,
            codebase=dict(
                task=TASK,
                codebase='mmagic',
                version=mmagic.__version__,
                pth=str(student),
                config='',
            ),
            **deploy_config(target, size, files[0]),
        ),
    }


def _pipeline(name: str, meta: dict, target: Target, size: int) -> dict:
    if target.dynamic:
        fit = dict(type='Pad', size_divisor=meta['size_multiple'], padding_mode='reflect')
    else:
        fit = dict(type='Resize', size=[size, size], keep_ratio=False, interpolation='bicubic')
    channels = channels_of(meta)[0]
    kind = {1: 'grayscale', 3: 'color', 4: 'unchanged'}[channels]
    transforms = [
        dict(type='LoadImageFromFile', color_type=kind),
        fit,
        # 8-bit models normalise by themselves
        *(
            []
            if target.uint8
            else [
                dict(
                    type='Normalize',
                    mean=[127.5] * channels,
                    std=[127.5] * channels,
                    to_rgb=channels > 1,
                ),
                dict(type='ImageToTensor', keys=['img']),
            ]
        ),
        dict(type='Collect', keys=['img'], meta_keys=['ori_shape', 'img_shape', 'img_norm_cfg']),
    ]
    tasks = [
        dict(
            type='Task',
            module='Transform',
            name='Preprocess',
            input=['img'],
            output=['prep_output'],
            transforms=transforms,
        ),
        dict(
            type='Task',
            module='Net',
            name=name,
            is_batched=target.dynamic,
            input=['prep_output'],
            output=['infer_output'],
            input_map=dict(img=target.names[0]),
            output_map=dict(),
        ),
        dict(
            type='Task',
            module='mmedit',
            name='postprocess',
            component=POSTPROCESS,
            params=dict(value_range=[0, 255] if target.uint8 else [-1, 1]),
            output=['post_output'],
            input=['prep_output', 'infer_output'],
        ),
    ]
    return dict(pipeline=dict(input=['img'], output=['post_output'], tasks=tasks))
