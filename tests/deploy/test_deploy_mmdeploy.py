"""mmdeploy's own entry points on our configs give what the tool gives."""

import numpy as np
import onnxruntime
import pytest
import torch
from mmengine import Config
from PIL import Image

from mmgan_compress.deploy.export import export_student
from mmgan_compress.deploy.formats import open_model
from mmgan_compress.deploy.targets import read_target
from mmgan_compress.models.student import read_test_config
from students import REPO, expected, make_student

pytest.importorskip('mmdeploy')
CONFIGS = REPO / 'configs' / 'deploy'


@pytest.fixture(scope='module')
def students(tmp_path_factory):
    folder = tmp_path_factory.mktemp('student')
    pixels = np.random.default_rng(0).integers(0, 256, (64, 128, 3), np.uint8)
    Image.fromarray(pixels).save(folder / 'a.png')
    made = {}
    for kind in ('unet', 'separable'):
        path = folder / f'{kind}.pth'
        model = make_student(path, kind)
        config = read_test_config(path)
        made[kind] = (path, model, config)
    return folder / 'a.png', made


def convert(image, student, name, out):
    from mmdeploy.apis import torch2onnx

    path, _, config = student
    deploy = str(CONFIGS / f'image-translation_{name}.py')
    torch2onnx(str(image), str(out), 'end2end.onnx', deploy, config, str(path), 'cpu')
    return deploy, str(out / 'end2end.onnx')


# mmdeploy puts Python around torch's functions: it traces for a minute
@pytest.mark.slow
@pytest.mark.parametrize('kind, form', [('unet', 'static-256x256'), ('separable', 'dynamic')])
def test_both_ways_are_the_same(kind, form, students, tmp_path):
    from mmdeploy.apis import inference_model

    image, made = students
    path, model, config = made[kind]
    deploy, file = convert(image, made[kind], f'onnxruntime_{form}', tmp_path / 'mm')
    (entry,) = onnxruntime.InferenceSession(file).get_inputs()
    assert entry.name == 'input'
    y = inference_model(config, deploy, [file], str(image), 'cpu')
    size = 256 if form.startswith('static') else None
    export_student(path, tmp_path / 'ours', read_target(deploy), size, images=[])
    picture = Image.open(image)
    if form != 'dynamic':
        assert entry.shape == [1, 3, 256, 256]
        picture = picture.resize((256, 256))
    pixels = np.asarray(picture)
    x = (pixels.transpose(2, 0, 1)[None].astype(np.float32) - 127.5) / 127.5
    ours = open_model(tmp_path / 'ours').run(x)
    np.testing.assert_allclose(y.numpy(), ours, atol=1e-4)
    np.testing.assert_allclose(ours, expected(model, torch.from_numpy(x)).numpy(), atol=1e-4)
    # as an array, BGR as OpenCV has it
    again = inference_model(config, deploy, [file], pixels[..., ::-1], 'cpu')
    assert torch.equal(again, y)


def test_visualize(students, tmp_path):
    from mmdeploy.apis import build_task_processor

    _, _, config = students[1]['separable']
    deploy = Config.fromfile(CONFIGS / 'image-translation_onnxruntime_static-256x256.py')
    task = build_task_processor(config, deploy, 'cpu')
    inputs, x = task.create_input(np.zeros((8, 9, 3), np.uint8), [256, 256])
    assert x.shape == (1, 3, 256, 256) and (x == -1).all()
    task.visualize(None, inputs['inputs'], str(tmp_path / 'a' / 'b.png'))
    assert Image.open(tmp_path / 'a' / 'b.png').getextrema() == ((0, 0),) * 3
    assert task.get_model_name() == 'separableresnetgenerator'


@pytest.mark.parametrize('name', ['onnxruntime-int8', 'openvino-int8'])
def test_what_mmdeploy_would_not_do_is_refused(students, tmp_path, name):
    image, made = students
    with pytest.raises(ValueError, match='use mmgan-compress export'):
        convert(image, made['unet'], f'{name}_dynamic', tmp_path)
