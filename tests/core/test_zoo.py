"""The students that come with the package."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from mmgan_compress import Translator, cli, load_student
from mmgan_compress.benchmark.run import find_networks
from mmgan_compress.core.channels import input_shape
from mmgan_compress.core.complexity import count_macs, count_params
from mmgan_compress.core.configs import read_config
from mmgan_compress.core.zoo import find_student, shipped_students
from mmgan_compress.datasets.fetch import sha256_of
from mmgan_compress.demo import apply_demo
from mmgan_compress.deploy.export import export_student
from mmgan_compress.deploy.targets import Target
from mmgan_compress.models.student_config import build_generator
from students import make_student, run_tool
from toy import REPO

FOLDER = REPO / 'models'
ENTRIES = {
    model['Name']: model
    for model in yaml.safe_load((FOLDER / 'metafile.yml').read_text())['Models']
}


def test_all_are_listed_and_found():
    assert shipped_students().keys() == ENTRIES.keys()
    for name, file in shipped_students().items():
        assert file.resolve() == FOLDER / name / 'student.pth'


@pytest.mark.parametrize('name', ENTRIES)
def test_what_is_said_of_it(name):
    file, entry = FOLDER / name / 'student.pth', ENTRIES[name]
    assert file.stat().st_size < 600_000
    network, facts = load_student(name), entry['Metadata']
    macs = count_macs(network, input_shape(network, network.meta['image_size']))
    assert facts['Parameters'] == count_params(network)
    assert facts['MACs (G)'] == round(macs.macs / 1e9, 4)
    assert facts["MACs, papers' (G)"] == round(macs.macs_paper / 1e9, 4)
    # of the recipe beside it
    cfg = read_config(str(REPO / entry['Config']))
    apply_demo(cfg)
    build_generator(cfg.model.generator).load_state_dict(network.state_dict())
    # the table of the page is that of its report
    row = json.loads((FOLDER / name / 'report.json').read_text())['rows'][-1]
    assert row['params'] == facts['Parameters']
    assert f'{row["metrics"]["emoji/LPIPS"]:.3f}' in (FOLDER / 'README.md').read_text()


@pytest.mark.parametrize('name', ENTRIES)
def test_its_name_stands_for_its_file(name, tmp_path, monkeypatch):
    picture = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    by_name, by_file = Translator(name), Translator(FOLDER / name / 'student.pth')
    assert (by_name.run(picture) == by_file.run(picture)).all()
    assert (by_name.run(picture) != picture).any()
    # what is in the current folder goes first
    monkeypatch.chdir(tmp_path)
    assert find_student('another') == 'another'
    make_student(Path(name))
    assert find_student(name) == name
    assert not torch.equal(
        next(load_student(name).parameters()),
        next(load_student(shipped_students()[name]).parameters()),
    )


def test_export_by_name(tmp_path):
    name = next(iter(ENTRIES))
    report = export_student(name, tmp_path, Target('torchscript'))
    assert report['student_sha256'] == sha256_of(FOLDER / name / 'student.pth')


def test_translate_by_name(tmp_path):
    name = next(iter(ENTRIES))
    Image.new('RGB', (64, 64), 'red').save(tmp_path / 'a.png')
    done = run_tool('translate', name, tmp_path / 'a.png', '--out', tmp_path / 'out')
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'out/a.png').is_file()


def test_commands_that_pass_a_name_on(tmp_path, monkeypatch):
    """To a recipe or to other processes, which know files alone."""
    name = next(iter(ENTRIES))
    monkeypatch.chdir(tmp_path)
    found, _ = find_networks([name], tmp_path, 64)
    assert Path(found[name]).samefile(FOLDER / name / 'student.pth')
    words = f'prune {name} --pruner NormWidths --budget macs=0.5 --tolerance 0.1 --out small'
    assert cli.main(words.split()) == 0
    recipe = read_config('small/finetune.py')
    assert Path(recipe.model.distiller.teacher.file).samefile(FOLDER / name / 'student.pth')
