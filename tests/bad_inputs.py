"""Broken and sound files that the bad-input suite gives to every command."""

import json
import os
import shutil
from pathlib import Path

import torch
from PIL import Image

from archives import image_bytes, make_zip
from students import GENERATORS, make_student
from toy import toy_config, train, without_report, write_images

# What each config holds beside the toy recipe that it is based on.
CONFIGS = dict(
    no_model='model = None',
    bare='model = dict(_delete_=True, type="mmgan_compress.DistillationModel")',
    no_train_loader='train_dataloader = None',
    no_test='test_dataloader = None',
    no_optimizers='optim_wrapper = None',
    crashes='x = 1 / 0',
    names='x = undefined_name',
    opens='x = open("nowhere.txt").read()',
    imports='custom_imports = dict(imports=["no_such_package"])',
    exits='import sys\nsys.exit("bye")',
    loop='_base_ = ["loop.py"]',
)
# Whole files that are no config.
TEXTS = {
    'empty.py': '',
    'comment.py': '# nothing\n',
    'json.py': '{"model": {}}',
    'syntax.py': 'model = dict(',
    'no_base.py': "_base_ = ['none.py']\nx = 1",
    'near_base.py': "_base_ = ['recipee.py']\nx = 1",
    'config.yaml': 'model: {}',
    'config.json': '{}',
    'text.pth': 'no weights',
    'text.onnx': 'no graph',
    'text.xml': 'no graph',
    'text.param': 'no graph',
    'text.pt2': 'no program',
    'text.pt': 'no program',
    'text.bin': 'x',
    'text.mp4': 'no video',
    'text.png': 'no image',
    'text.tar.gz': 'none',
    'text.zip': 'none',
    'empty.zip': '',
    'broken.json': '{"a": ',
    'list.json': '[1, 2]',
    'other.json': '{"a": 1}',
    'plain.txt': 'text',
    'empty.pth': '',
    'empty.onnx': '',
    'empty.png': '',
    'empty.mp4': '',
    'broken_data.py': """
from mmgan_compress.datasets.translation import UnpairedImages
from mmgan_compress.registry import DATASETS


@DATASETS.register_module()
class BrokenImages(UnpairedImages):

    def __getitem__(self, index):
        raise KeyError('image 7 went away')
""",
    'module_fails.py': 'raise RuntimeError("my own module is broken")',
}
DEPLOY = dict(
    task="codebase_config = dict(task='Other')\nbackend_config = dict(type='onnxruntime')",
    backend="backend_config = dict(type='tflite')",
    none='x = 1',
    shape="backend_config = dict(type='onnxruntime')\nonnx_config = dict(input_shape=[64, 32])",
    words="backend_config = dict(type='onnxruntime')\nonnx_config = dict(input_shape=['a', 'a'])",
    negative="backend_config = dict(type='onnxruntime')\n"
    'onnx_config = dict(input_shape=[-64, -64])',
    axes="backend_config = dict(type='onnxruntime')\n"
    'onnx_config = dict(dynamic_axes=dict(input={1: "c"}))',
    opset="backend_config = dict(type='onnxruntime')\nonnx_config = dict(opset_version='new')",
    precision="backend_config = dict(type='onnxruntime', precision='fp3')",
    settings="backend_config = dict(type='onnxruntime', precision='int8', "
    "quantization_config=dict(method='NoMethod'))",
)
STAGES = dict(
    empty='stages = []',
    none='x = 1',
    text='stages = "train"',
    number='stages = [1]',
    nameless='stages = [dict(run="train")]',
    runless='stages = [dict(name="a")]',
    command='stages = [dict(name="a", run="fly")]',
    twice='stages = [dict(name="a", run="train", config="recipe.py"), '
    'dict(name="a", run="train", config="recipe.py")]',
    later='stages = [dict(name="a", run="export", '
    'source="{b}/student.pth"), dict(name="b", run="train", '
    'config="recipe.py")]',
    option='stages = [dict(name="a", run="train", config="recipe.py", sped=1)]',
    config='stages = [dict(name="a", run="train", config="none.py")]',
    source='stages = [dict(name="a", run="export", source="none.pth")]',
    own='stages = [dict(name="a", run="train", config="recipe.py", work_dir="x")]',
    bad_name='stages = [dict(name="a/b", run="train", config="recipe.py")]',
)


def write_files(root: Path, vgg: str):
    """Fill a folder with all that the cases read."""
    root.mkdir()
    for name, text in TEXTS.items():
        (root / name).write_text(text)
    cfg = without_report(toy_config('cyclegan', root / 'data', vgg))
    run = train(_without_teaching(cfg), root / 'run')
    checkpoint = torch.load(root / 'run' / f'iter_{run.iter}.pth', weights_only=True)
    _write_recipes(root, vgg)
    _write_weights(root, checkpoint)
    _write_images(root)
    _write_models(root)


def _without_teaching(cfg):
    """Make a training end after one step."""
    cfg.model.distiller.schedule = dict(epochs=1, constant=1, block=1, iters_per_epoch=1)
    cfg.default_hooks.pop('student')
    cfg.custom_hooks = []
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    return cfg


def _write_recipes(root: Path, vgg: str):
    # data roots are as a user gives them: cases run beside the folder
    for model, name, data in (('cyclegan', 'recipe', 'data'), ('pix2pix', 'pairs', 'pair_data')):
        cfg = toy_config(model, root / data, vgg)
        for loader in ('train', 'val', 'test'):
            cfg[f'{loader}_dataloader'].dataset.data_root = f'm/{data}'
        cfg.pop('experiment_name')  # the same for all runs of this process
        cfg.dump(root / f'{name}.py')
    for name, text in CONFIGS.items():
        (root / f'{name}.py').write_text(
            text if '_base_' in text else f"_base_ = ['recipe.py']\n{text}\n"
        )
    task = "codebase_config = dict(type='mmagic', task='ImageTranslation')\n"
    for name, text in DEPLOY.items():
        (root / f'deploy_{name}.py').write_text(
            text if 'codebase' in text or name == 'none' else task + text
        )
    for name, text in STAGES.items():
        (root / f'stages_{name}.py').write_text(text)
    (root / 'bytes.py').write_bytes(b'\xff\xfe\x00model')
    (root / 'folder.py').mkdir()


def _write_weights(root: Path, checkpoint: dict):
    make_student(root / 'student.pth')
    make_student(root / 'two.pth', reachable=('horse', 'zebra'))
    make_student(root / 'unet.pth', 'unet')
    torch.save(checkpoint, root / 'iter_1.pth')
    content = torch.load(root / 'student.pth', weights_only=True)
    whole = (root / 'student.pth').read_bytes()
    (root / 'cut.pth').write_bytes(whole[: len(whole) // 2])
    whole = (root / 'iter_1.pth').read_bytes()
    (root / 'cut_1.pth').write_bytes(whole[: len(whole) // 2])
    torch.save(dict(layer=torch.zeros(2)), root / 'foreign.pth')
    torch.save([1, 2], root / 'list.pth')
    torch.save(torch.nn.Linear(2, 2), root / 'module.pth')
    (root / 'folder.pth').mkdir()
    info, state = content['meta']['mmgan_compress'], content['state_dict']

    def write(name, tensors=state, **changes):
        torch.save(
            dict(meta=dict(mmgan_compress={**info, **changes}), state_dict=tensors),
            root / f'{name}.pth',
        )

    first = next(iter(state))
    write('newer', format=99)
    write('nan', {**state, first: state[first] * float('nan')})
    write('less', dict(list(state.items())[1:]))
    write('type', generator=dict(GENERATORS['resnet'], type='NoSuch'))
    write('huge', generator=dict(GENERATORS['resnet'], base_channels=1 << 20))
    write(
        'path',
        generator=dict(
            GENERATORS['resnet'], init_cfg=dict(type='Pretrained', checkpoint='/etc/passwd')
        ),
    )
    write('domain', default_domain='cow')
    write('size', image_size='large')
    torch.save(dict(meta={}, state_dict=state), root / 'no_info.pth')


def _write_images(root: Path):
    small = image_bytes()
    for name in (
        'texts',
        'corrupt',
        'gifs',
        'nothing',
        'no_val',
        'one_side',
        'tiny',
        'wide',
        'links',
        'zero',
        'folders',
    ):
        (root / name).mkdir()
    (root / 'texts' / 'a.txt').write_text('text')
    (root / 'image.png').write_bytes(image_bytes((64, 64)))
    (root / 'corrupt.png').write_bytes(image_bytes((64, 64))[:80])
    (root / 'corrupt' / '1.png').write_bytes(small[:40])
    (root / 'gifs' / 'a.tif').write_text('no image')
    os.symlink('nowhere.png', root / 'link.png')
    os.symlink('nowhere', root / 'link')
    Image.new('RGB', (1, 1)).save(root / 'dot.png')
    sides = [f'{split}{side}' for split in ('train', 'val', 'test') for side in 'AB']
    for name in ('no_val', 'one_side', 'tiny', 'links', 'zero', 'folders'):
        shutil.copytree(root / 'data', root / name, dirs_exist_ok=True)
    shutil.rmtree(root / 'no_val' / 'valA')
    shutil.rmtree(root / 'one_side' / 'trainB')
    for name, content in (('zero', b''), ('bad', small[:40])):
        shutil.copytree(root / 'data', root / name, dirs_exist_ok=True)
        (root / name / 'trainA' / '0.png').write_bytes(content)
    os.remove(root / 'links' / 'trainA' / '0.png')
    os.symlink('nowhere.png', root / 'links' / 'trainA' / '0.png')
    os.remove(root / 'folders' / 'trainA' / '0.png')
    (root / 'folders' / 'trainA' / '0.png').mkdir()
    for side in sides:
        (root / 'empty_sides' / side).mkdir(parents=True)
        (root / 'text_sides' / side).mkdir(parents=True)
        (root / 'text_sides' / side / 'a.txt').write_text('text')
    write_images(root / 'narrow', dict(train=3, val=2, test=2))  # no pairs
    for folder in (root / 'narrow').iterdir():
        for file in folder.iterdir():
            Image.open(file).resize((33, 32)).save(file)
    write_images(root / 'uneven', dict(trainA=3, trainB=2, valA=2, valB=2, testA=2, testB=2))
    write_images(root / 'few', {side: 1 for side in sides})
    make_zip(root / 'other.zip', {'readme.txt': b'text'})


def _write_models(root: Path):
    from onnx_files import write_onnx

    write_onnx(root / 'plain.onnx')
    write_onnx(root / 'double.onnx', kind='DOUBLE')
    write_onnx(root / 'grey.onnx', shape=('N', 5, 16, 16))
    write_onnx(root / 'inputs.onnx', inputs=2)
    whole = (root / 'plain.onnx').read_bytes()
    (root / 'cut.onnx').write_bytes(whole[: len(whole) // 2])
    for name in ('export_empty', 'export_text'):
        (root / name).mkdir()
    (root / 'export_text' / 'parity.json').write_text('{"a": ')
    (root / 'taken').mkdir()
    for name in (
        'image.png',
        'report.json',
        'student.pth',
        'iter_1.pth',
        'benchmark.json',
        'teachers.pth',
    ):
        (root / 'taken' / name).write_text('precious')
    (root / 'study').mkdir()
    (root / 'study' / 'study.db').write_text('no data base')
    (root / 'study' / 'front.json').write_text(json.dumps(dict(a=1)))
