"""Metafiles and READMEs name what exists and figures that are measured."""
import copy
import re
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
import yaml
from mmengine import Config, DefaultScope
from test_configs import (CONFIGS, RECIPES, ROOT, build_host,
                          build_optimizers, load)

from mmgan_compress.core.resources import count_macs, count_params
from mmgan_compress.demo import apply_demo
from mmgan_compress.registry import MODELS


def test_basenames_are_unique():
    """mim finds configs by their basename in the whole tree."""
    names = Counter(path.name for path in CONFIGS.rglob('*.py'))
    assert max(names.values()) == 1, names.most_common(3)


METAFILES = sorted(CONFIGS.rglob('metafile.yml'))


def entries():
    return [(path, model) for path in METAFILES
            for model in yaml.safe_load(path.read_text())['Models']]


def test_every_recipe_is_in_one_metafile():
    listed = [model['Config'] for _, model in entries()]
    assert sorted(listed) == sorted(
        path.relative_to(ROOT).as_posix() for path in RECIPES.values())


@pytest.mark.parametrize('path', METAFILES, ids=lambda path: path.parent.name)
def test_metafile_paths_and_names(path):
    content = yaml.safe_load(path.read_text())
    collections = {c['Name'] for c in content['Collections']}
    for collection in content['Collections']:
        assert (ROOT / collection['README']).is_file()
    for model in content['Models']:
        assert model['Name'] == Path(model['Config']).stem
        assert model['In Collection'] in collections


@pytest.mark.parametrize('name', RECIPES)
def test_metafile_figures(name):
    model = next(m for _, m in entries() if m['Name'] == name)
    cfg = load(name)
    with DefaultScope.overwrite_default_scope('mmagic'), torch.device('meta'):
        student = MODELS.build(copy.deepcopy(cfg.model.generator))
    macs, facts = count_macs(student, (1, 3, 256, 256)), model['Metadata']
    assert facts['Parameters'] == count_params(student)
    assert facts['MACs (G)'] == round(macs.macs / 1e9, 4)
    assert facts["MACs, papers' (G)"] == round(macs.macs_paper / 1e9, 4)
    assert facts['Training Data'] == \
        Path(cfg.train_dataloader.dataset.data_root).name
    kind = 'unet' if model['Config'].count('unet') or name == 'omgd_pix2pix' \
        else 'mobile'
    assert facts['Student'] == f'{kind}{cfg.model.generator.base_channels}'


@pytest.mark.parametrize('readme', [
    'README.md', 'configs/README.md', 'configs/omgd/README.md'])
def test_readme_names_what_exists(readme):
    """Configs, tools, folders and links; pictures may be made later."""
    text = (ROOT / readme).read_text()
    here = (ROOT / readme).parent
    for link in re.findall(r'(?<!!)\[[^]]*\]\(([^)#:]+)\)', text):
        assert (here / link).exists(), link
    for name in re.findall(r'(?:configs|tools)/[\w./-]+\.(?:py|yml|sh)', text):
        assert (ROOT / name).exists(), name
    if readme == 'configs/omgd/README.md':
        missing = [name for name in RECIPES if name not in text]
        assert not missing


@pytest.fixture
def readme_files(tmp_path, monkeypatch):
    """The files that README.md shows, where a user would put them."""
    blocks = re.findall(r'```python\n# (my_\w+\.py)\n(.*?)```',
                        (ROOT / 'README.md').read_text(), re.S)
    for name, text in blocks:
        (tmp_path / name).write_text(text)
    (tmp_path / 'configs').symlink_to(CONFIGS)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop('my_terms', None)


def test_readme_term_trains(readme_files):
    """The term of README.md, in its recipe, takes a step of the demo."""
    cfg = Config.fromfile(readme_files / 'my_recipe.py')
    apply_demo(cfg)
    host = build_host(cfg, 'cpu')
    host.distiller.iteration = host.distiller.schedule.block  # the student's
    images = {f'img_{d}': torch.rand(1, 3, 64, 64) * 2 - 1
              for d in ('flat', 'emoji')}
    log = host.distiller.train_step(images, build_optimizers(cfg, host))
    assert sorted(log) == [
        'loss_edge_emoji_teacher', 'loss_ssim_emoji_teacher']
    assert all(value > 0 for value in log.values())


def test_readme_model_builds(readme_files):
    cfg = Config.fromfile(readme_files / 'my_model.py')
    cfg.model.distiller.perceptual = dict(
        type='mmgan_compress.VGG16Features', weights='random')
    host = build_host(cfg)
    assert type(host.generators['zebra']).__name__ == 'ResnetGenerator'
    assert len(host.distiller.layers_of('zebra')) == 4
