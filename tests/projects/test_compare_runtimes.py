"""Students by several deploy configs in one table."""

import json
import runpy

import pytest

from students import REPO, make_student, refused_by_tool

CONFIGS = [
    'image-translation_torchscript_static-256x256.py',
    'image-translation_onnxruntime-int8_dynamic.py',
]


def test_table(tmp_path, monkeypatch, capsys):
    """One that is the same, one that is refused, and why."""
    make_student(tmp_path / 'a.pth', 'separable')
    tool = runpy.run_path(str(REPO / 'projects/runtimes/compare_runtimes.py'))
    # none, where a recipe would give some
    monkeypatch.setitem(tool['images_of'].__globals__, 'images_of', lambda *_: [])
    monkeypatch.setattr(
        'sys.argv',
        [
            'compare_runtimes',
            f'a={tmp_path}/a.pth',
            '--recipe',
            'omgd_cyclegan.py',
            '--configs',
            *CONFIGS,
            '--out',
            str(tmp_path / 'out'),
        ],
    )
    tool['main']()
    rows = json.loads((tmp_path / 'out/runtimes.json').read_text())
    same = rows['torchscript_static-256x256']['a']
    assert same['max_abs'] < 1e-4 and same['psnr'] > 80
    assert (tmp_path / 'out/a/torchscript_static-256x256/end2end.pt').is_file()
    refused = rows['onnxruntime-int8_dynamic']['a']['refused']
    table = (tmp_path / 'out/runtimes.md').read_text()
    assert f'[1] {refused}' in table and 'refused [1]' in table
    assert table in capsys.readouterr().out


def test_what_differs_is_an_error(tmp_path, monkeypatch):
    make_student(tmp_path / 'a.pth', 'separable')
    tool = runpy.run_path(str(REPO / 'projects/runtimes/compare_runtimes.py'))
    monkeypatch.setitem(
        tool['images_of'].__globals__,
        'compare',
        lambda *_: dict(differs='the outputs differ by 0.3'),
    )
    monkeypatch.setattr(
        'sys.argv',
        [
            'compare_runtimes',
            f'a={tmp_path}/a.pth',
            '--recipe',
            'omgd_cyclegan.py',
            '--configs',
            CONFIGS[0],
            '--out',
            str(tmp_path / 'out'),
        ],
    )
    with pytest.raises(ValueError, match='a by torchscript_static-256x256'):
        tool['main']()


def test_refused(tmp_path, monkeypatch):
    assert 'expected NAME=FILE' in refused_by_tool(
        'compare_runtimes',
        'a=nowhere.pth',
        '--recipe',
        'omgd_cyclegan.py',
        '--out',
        tmp_path / 'out',
        monkeypatch=monkeypatch,
    )
    assert not (tmp_path / 'out').exists()
