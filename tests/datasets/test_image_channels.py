"""Grey and RGBA images, from the recipe to the exported student."""

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from mmgan_compress import Translator, load_student, save_student, translate
from mmgan_compress.datasets.translation import PairedImages
from mmgan_compress.deploy.export import export_student
from mmgan_compress.deploy.targets import Target
from mmgan_compress.engine.channels import fit_channels
from mmgan_compress.engine.runner_builder import load_config
from mmgan_compress.evaluation.metrics import PairedQuality
from mmgan_compress.inference.teacher_images import make_teacher_images
from mmgan_compress.inference.video import About, writing
from mmgan_compress.models.perceptual import VGG16Features
from mmgan_compress.models.student import student_info
from students import make_model, make_student
from toy import SIZE, build_model, leave_out, toy_config, train

MODES = {1: 'L', 3: 'RGB', 4: 'RGBA'}


def write_pairs(root, channels):
    draw = np.random.default_rng(0)
    for split in ('train', 'val', 'test'):
        (root / split).mkdir(parents=True)
        for index in range(2):
            small = draw.integers(0, 256, (4, 8, channels), np.uint8)
            image = Image.fromarray(small.squeeze())
            image.resize((2 * SIZE, SIZE)).save(root / split / f'{index}.png')


@pytest.mark.parametrize(
    'method,model,taken,given',
    [
        ('omgd', 'pix2pix', 4, 4),
        pytest.param('gcc', 'pix2pix', 1, 3, marks=pytest.mark.slow),
        pytest.param('omgd', 'cyclegan', 1, 1, marks=pytest.mark.slow),
    ],
)
def test_a_recipe_follows_its_generator(tmp_path, vgg_file, method, model, taken, given):
    root = tmp_path / 'data'
    if model == 'pix2pix':
        write_pairs(root, max(taken, given))
    cfg = toy_config(model, root, vgg_file, method=method)
    cfg.model.distiller.schedule.update(epochs=2, constant=1, block=1)
    cfg.model.generator.update(in_channels=taken, out_channels=given)
    fit_channels(cfg)
    runner = train(cfg, tmp_path / 'run')
    assert runner.iter >= 2
    text = (tmp_path / 'run/report.md').read_text()
    assert {1: '; grey, repeated)', 3: '; 8 bit)', 4: '; RGBA, laid on white)'}[given] in text
    path = tmp_path / 'run/student.pth'
    source, target = cfg.model.related_domains
    assert student_info(path)['channels'] == {source: taken, target: given}
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 4), np.uint8))
    here = translate(path, photo)[0]
    assert here.mode == MODES[given] and here.size == (SIZE, SIZE)
    file = tmp_path / 'photo.png'
    photo.save(file)
    for name, pixels in (('float', False), ('pixels', True)):
        report = export_student(
            path, tmp_path / name, Target('onnxruntime', uint8=pixels), images=file
        )
        assert all(check['passed'] for check in report['checks'])
        run = Translator(tmp_path / name)
        assert run.channels == (taken, given)
        there = run(file)[0]
        assert there.mode == MODES[given]
        assert np.abs(np.array(here, int) - np.array(there)).max() <= 1


def test_tool_refuses_six_channels_in_one_line(tmp_path, monkeypatch):
    from students import refused_by_tool

    options = [f'model.generator.{end}_channels=6' for end in ('in', 'out')]
    message = refused_by_tool(
        'train',
        'configs/omgd_cyclegan.py',
        '--demo',
        '--work-dir',
        tmp_path / 'run',
        '--cfg-options',
        *options,
        monkeypatch=monkeypatch,
    )
    assert 'images of 6 channels: expected 1 (grey), 3 (RGB) or' in message
    assert len(message.splitlines()) == 1
    assert not os.listdir(tmp_path)
    model = make_model(in_channels=6, out_channels=6)
    with pytest.raises(ValueError, match='images of 6 channels'):
        save_student(tmp_path / 'a.pth', model, source='x', image_size=64)


def test_recipes_that_cannot_follow_are_refused(tmp_path):
    from argparse import Namespace

    def load(name, *options):
        return load_config(
            Namespace(config=name, demo=False, data_root=None, cfg_options=list(options))
        )

    with pytest.raises(ValueError, match='needs one number for both domains'):
        load('omgd_cyclegan.py', 'model.generator.in_channels=1')
    grey = ['model.generator.in_channels=1', 'model.generator.out_channels=1']
    cfg = load('gan_slimming_cyclegan-resnet64-published_1xb8-200e_horse2zebra.py', *grey)
    assert [step.channels for step in cfg.train_dataloader.dataset.pipeline[:2]] == [1, 1]
    assert cfg.test_evaluator.metrics[0].reference.channels == 1
    cfg = load('gcc_pix2pix.py', *grey)
    gated = cfg.model.distiller.student_discriminator.discriminator
    assert gated.in_channels == 2


def test_networks_that_judge_see_rgb(tmp_path, vgg_file):
    net = VGG16Features(vgg_file)
    grey = torch.rand(1, 1, 16, 16) * 2 - 1
    colour = torch.rand(1, 4, 16, 16) * 2 - 1
    assert torch.equal(net(grey)[3], net(grey.repeat(1, 3, 1, 1))[3])
    assert torch.equal(net(colour)[3], net(colour[:, :3])[3])
    metric = PairedQuality('b', lpips=False)
    levels = (torch.rand(4, 16, 16) * 255).round()
    levels[3, :8] = 0  # what nobody sees does not count
    other = levels.clone()
    other[:3, :8] = 0
    sample = dict(fake_b=levels, img_b=other, img_a_path='x')
    metric.process(None, [sample, dict(sample, img_a_path='y')])
    figures = metric.compute_metrics(metric.results)
    assert figures['PSNR'] == float('inf')
    assert '; RGBA, laid on white)' in metric.protocol['b/PSNR']


def test_what_takes_no_other_channels_says_so(tmp_path):
    make_student(tmp_path / 'grey.pth', in_channels=1, out_channels=1)
    run = Translator(tmp_path / 'grey.pth')
    with writing(tmp_path / 'a.mp4', About(10.0, 64, 64, 1)) as frame:
        frame(np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(ValueError, match='a.mp4 is a video, whose frames'):
        run(tmp_path / 'a.mp4', tmp_path / 'out')
    with pytest.raises(ValueError, match='this model takes 1 channels'):
        run.run(np.zeros((1, 64, 64, 3), np.uint8))
    assert not (tmp_path / 'out').exists()


def test_a_file_of_an_older_version_is_of_rgb_images(tmp_path):
    make_student(tmp_path / 'a.pth')
    content = torch.load(tmp_path / 'a.pth', weights_only=True)
    del content['meta']['mmgan_compress']['channels']
    torch.save(content, tmp_path / 'old.pth')
    run = Translator(load_student(tmp_path / 'old.pth'))
    assert run.channels == (3, 3)
    for wrong in (6, [3], {}):
        content['meta']['mmgan_compress']['channels'] = dict(zebra=wrong)
        torch.save(content, tmp_path / 'wrong.pth')
        with pytest.raises(ValueError, match='wrong.pth.* channels: expec'):
            load_student(tmp_path / 'wrong.pth')
    report = export_student(tmp_path / 'old.pth', tmp_path / 'out')
    assert (
        json.loads((tmp_path / 'out/parity.json').read_text())['channels']
        == [3, 3]
        == list(report['channels'])
    )


def test_pairs_in_two_folders_may_be_of_two_kinds(tmp_path):
    draw = np.random.default_rng(0)
    for side, channels in (('A', 1), ('B', 4)):
        (tmp_path / 'train' / side).mkdir(parents=True)
        pixels = draw.integers(0, 256, (SIZE, SIZE, channels), np.uint8)
        Image.fromarray(pixels.squeeze()).save(tmp_path / 'train' / side / 'a.png')
    data = PairedImages(str(tmp_path), ['a', 'b'], size=SIZE, load_size=36, channels=dict(a=1, b=4))
    images = data[0]['inputs']
    assert images['img_a'].shape == (1, SIZE, SIZE)
    assert images['img_b'].shape == (4, SIZE, SIZE)


def test_a_teacher_of_grey_images_writes_grey_images(tmp_path):
    make_student(tmp_path / 'grey.pth', in_channels=1, out_channels=1)
    (tmp_path / 'a').mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / 'a/a.png')
    (path,) = make_teacher_images(
        str(tmp_path / 'grey.pth'), tmp_path / 'a', tmp_path / 'out', size=64
    )
    (want,) = translate(tmp_path / 'grey.pth', Image.fromarray(noise).convert('L'))
    with Image.open(path) as made:
        assert made.mode == 'L' and made.tobytes() == want.tobytes()


def test_an_onnx_teacher_of_other_channels_is_refused(tmp_path, vgg_file):
    from onnx_files import write_onnx

    cfg = toy_config('cyclegan', tmp_path / 'data', vgg_file)
    path = write_onnx(tmp_path / 'a.onnx', shape=('N', 1, 32, 32))
    leave_out(cfg, 'ChannelLoss')
    cfg.model.distiller.offline = True
    cfg.model.distiller.pop('teacher')
    cfg.model.distiller.teacher = dict(
        type='mmgan_compress.OnnxTeacher', output_name='image', path=path
    )
    with pytest.raises(ValueError, match='images of 1 channels and the student for 3'):
        build_model(cfg)
