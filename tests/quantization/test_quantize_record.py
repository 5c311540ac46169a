"""quantize.json: what 8 bits lose, and whether the floor is met."""

import json
from argparse import Namespace

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmgan_compress.cli.quantize import print_floor
from mmgan_compress.deploy.targets import Target
from mmgan_compress.deploy.verify import ParityError
from mmgan_compress.models.quantization import SENSITIVE
from mmgan_compress.quantization.workflow import RuntimeNetwork, loss_on, quantize_student
from test_quantizers import SIZE, psnr


def test_record(student, images, tmp_path):
    path, net, _ = student
    pictures = [((x[0].transpose(1, 2, 0) + 1) * 127.5).astype(np.uint8) for x in images]
    record = quantize_student(path, tmp_path, dict(type='ORTStatic'), pictures, images=pictures)
    assert record == json.loads((tmp_path / 'quantize.json').read_text())
    assert record['calibration_images'] == record['lost']['images'] == 4
    model = RuntimeNetwork(tmp_path / 'end2end.onnx')
    assert record['lost']['psnr'] == pytest.approx(
        psnr(net, str(tmp_path / 'end2end.onnx'), images), abs=3
    )
    x = torch.from_numpy(np.concatenate(images))
    assert torch.equal(model(x)[1:2], model(x[1:2]))
    assert record['floor_met'] is None
    lost = loss_on(net, model, pictures)
    assert lost['images'] == 4
    assert lost['worst_psnr'] == pytest.approx(record['lost']['psnr'], abs=0.1)
    assert lost['psnr'] > lost['worst_psnr']
    assert loss_on(net, net, pictures)['psnr'] is None


def test_a_floor_that_other_images_miss(student, images, tmp_path):
    """It holds on calibration images; the record says where it does not."""
    smooth = [((x[0].transpose(1, 2, 0) + 1) * 127.5).astype(np.uint8) for x in images]
    dot = np.full((SIZE, SIZE, 3), 128, np.uint8)
    dot[30:33, 30:33] = 255  # behind a norm larger than anything smooth
    # each layer that may be quantized is tried alone: of the blocks none may
    quantizer = dict(type='ORTStatic', skip=[*SENSITIVE, '*conv_block*'])
    made = quantize_student(
        student[0], tmp_path, dict(quantizer, sensitivity=True), smooth, images=[dot]
    )
    floor = (made['set_psnr'] + made['lost']['psnr']) / 2
    quantizer['psnr_floor'] = floor
    missed = quantize_student(student[0], tmp_path, quantizer, smooth, images=[dot])
    assert missed['set_psnr'] >= floor > missed['lost']['psnr']
    assert missed['floor_met'] is False
    met = quantize_student(
        student[0], tmp_path, dict(quantizer, psnr_floor=9.0), smooth, images=smooth
    )
    assert met['floor_met'] is True
    # nothing but another picture: refused, and what was there stays
    before = (tmp_path / 'quantize.json').read_text()
    with pytest.raises(ParityError, match='at least 10.0 dB'):
        quantize_student(
            student[0],
            tmp_path,
            dict(type='ORTStatic'),
            [np.full((SIZE, SIZE, 3), 128, np.uint8)],
            images=smooth,
        )
    assert (tmp_path / 'quantize.json').read_text() == before


@pytest.mark.parametrize('share, gains', [(0.32, False), (0.8, True), (1, True)])
def test_a_floor_says_whether_8_bits_still_pay(share, gains, capsys):
    layers = [dict(int8=share == 1), dict(int8=True), dict(int8=True)]
    print_floor(dict(psnr_floor=45.0, int8_share_of_macs=share, layers=layers))
    said = capsys.readouterr().out
    assert ('leaves 1 of 3 layers in float' in said) == (share < 1)
    assert ('hardly saves time' in said) != gains


def test_test_images_of_another_size_are_refused():
    from mmgan_compress.engine.quantize import check_size as check

    cfg = Config(dict(test_dataloader=dict(dataset=dict(size=64))))
    args, info = Namespace(size=None, test='r.py'), dict(image_size=64)
    check(args, cfg, Target(), info)
    check(args, cfg, Target(dynamic=True, size=None), dict(image_size=96))
    # the training size wins over that of a deploy config
    check(args, cfg, Target(size=256), info)
    args.size = 256
    with pytest.raises(ValueError, match='takes 256x256 .* say --size 64'):
        check(args, cfg, Target(size=256), info)
