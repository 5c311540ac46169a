"""Metafiles and READMEs name what exists and figures that are measured."""
import functools
import json
import re
from collections import Counter
from pathlib import Path

import pytest
import torch
import yaml
from mmengine import DefaultScope
from recipes import CONFIGS, RECIPES, ROOT, folder_of, load
from students import TOOLS

from mmgan_compress.cli import COMMANDS, make_parser
from mmgan_compress.core.domains import per_domain
from mmgan_compress.core.complexity import count_macs, count_params
from mmgan_compress.registry import MODELS

METAFILES = sorted(CONFIGS.rglob('metafile.yml'))
READMES = ['README.md', *sorted(
    path.relative_to(ROOT).as_posix() for path in CONFIGS.rglob('README.md'))]
FIGURES = ('Parameters', 'MACs (G)', "MACs, papers' (G)")
METHODS = sorted({folder_of(name) for name in RECIPES})


def test_basenames_are_unique():
    """mim finds configs by their basename in the whole tree."""
    names = Counter(path.name for path in CONFIGS.rglob('*.py'))
    assert max(names.values()) == 1, names.most_common(3)


def entries():
    return [(path, model) for path in METAFILES
            for model in yaml.safe_load(path.read_text())['Models']]


def facts_of(name):
    return next(m for _, m in entries() if m['Name'] == name)['Metadata']


# --- metafiles --------------------------------------------------------------
def test_every_recipe_is_in_the_metafile_of_its_folder():
    listed = {model['Config']: path.parent.name for path, model in entries()}
    assert len(listed) == len(entries())
    assert listed == {
        path.relative_to(ROOT).as_posix(): folder_of(name)
        for name, path in RECIPES.items()}


@pytest.mark.parametrize('path', METAFILES, ids=lambda path: path.parent.name)
def test_metafile_paths_and_names(path):
    content = yaml.safe_load(path.read_text())
    collections = {c['Name'] for c in content['Collections']}
    for collection in content['Collections']:
        assert (ROOT / collection['README']).is_file()
    for model in content['Models']:
        assert model['Name'] == Path(model['Config']).stem
        assert model['In Collection'] in collections


# what a generator is called by the beginning of its type
FAMILIES = {'Resnet': 'resnet', 'Cartoon': 'cartoon', 'Unet': 'unet',
            'DeepUnet': 'unet', '': 'mobile'}


def short(generator):
    """Return ``'unet-deep16'`` for the config of such a network."""
    kind = generator.type.split('.')[-1]
    if kind in ('SlimNetwork', 'SuperNet'):
        suffix = 'slim' if kind == 'SlimNetwork' else 'super'
        return f'{short(generator.arch)}-{suffix}'
    for part, name in FAMILIES.items():
        if kind.startswith(part):
            break
    return name + ('-deep' if 'Deep' in kind else '') + str(
        generator.get('base_channels', 64))


def network_of(teacher):
    """Return the config of a teacher's generator; it may be a model of one
    or of several alike."""
    several = teacher.get('generators') or {'': teacher}
    return teacher.get('generator') or next(iter(several.values()))


def teachers_in(distiller):
    teachers = [distiller.get('teacher'),
                *(distiller.get('teachers') or {}).values()]
    return ' + '.join(
        'folder of images' if teacher.type.endswith('StoredTeacher')
        else short(network_of(teacher))
        for teacher in teachers if teacher) or 'none'


@functools.cache
def measured(config):
    """Return the figures of a generator by its config, as JSON."""
    with DefaultScope.overwrite_default_scope('mmagic'), torch.device('meta'):
        network = MODELS.build(json.loads(config))
    macs = count_macs(network, (1, 3, 256, 256))
    return (count_params(network), round(macs.macs / 1e9, 4),
            round(macs.macs_paper / 1e9, 4))


@pytest.mark.parametrize('name', RECIPES)
def test_metafile_figures(name):
    cfg, facts = load(name), facts_of(name)
    student = per_domain(cfg.model.generator, cfg.model.reachable_domains)[
        cfg.model.default_domain]
    assert measured(json.dumps(student.to_dict())) == tuple(facts[key] for key
                                                            in FIGURES)
    assert facts['Training Data'] == \
        Path(cfg.train_dataloader.dataset.data_root).name
    assert facts['Student'] == short(student)
    assert facts['Teacher'] == teachers_in(cfg.model.distiller)


# --- READMEs ----------------------------------------------------------------
def anchors(text):
    """Return the anchors that a renderer makes of the headings."""
    titles = re.findall(r'^#+ (.*)$', text, re.M)
    return {re.sub(r'[^\w\- ]', '', title).strip().lower().replace(' ', '-')
            for title in titles}


@pytest.mark.parametrize('readme', READMES)
def test_readme_names_what_exists(readme):
    """Configs, tools, folders and links; pictures may be made later."""
    text, here = (ROOT / readme).read_text(), (ROOT / readme).parent
    links = re.findall(r'(?<!!)\[[^]]*\]\((?!https?:)([^)#]+)#?([^)]*)\)',
                       text)
    assert links
    for path, anchor in links:
        assert (here / path).exists(), path
        if anchor:
            assert anchor in anchors((here / path).read_text()), anchor
    for name in re.findall(
            r'(?:configs|tools|projects)/[\w./-]+\.(?:py|yml|sh)', text):
        assert (ROOT / name).exists(), name


def commands():
    """Yield README, tool and options of every command that is shown."""
    for readme in READMES:
        text = (ROOT / readme).read_text().replace('\n--', ' --')
        for tool, rest in re.findall(
                r'python ((?:tools|projects/\w+)/\w+)\.py([^`\n#]*)', text):
            yield readme, tool, re.findall(r'(?<=[ \[])--[\w-]+', rest)


def test_commands_have_the_options_that_are_shown():
    shown = list(commands())
    assert {'train', 'pipeline', 'compress', 'compare_distilled',
            'make_teacher_images', 'benchmark_relations', 'benchmark_steps'
            } <= {Path(tool).name for _, tool, _ in shown}
    for readme, tool, options in shown:
        name = Path(tool).name
        name = TOOLS.get(name, name)
        text = make_parser(name).format_help() if name in COMMANDS else \
            (ROOT / f'{tool}.py').read_text()
        for option in options:
            assert re.search(rf'{option}\b', text), (readme, tool, option)


@pytest.mark.parametrize('method', METHODS)
def test_readme_lists_the_recipes_of_its_folder(method):
    """Each by a link, and with the figures of the metafile."""
    text = (CONFIGS / method / 'README.md').read_text()
    for name in (n for n in RECIPES if folder_of(n) == method):
        link = re.search(rf'^\| \[{name}\]\([\w./-]+\).*$', text, re.M)
        assert link, name
        facts = facts_of(name)
        # where all students are one, its figures stand above the table
        shown = link[0] if ' M | ' in link[0] else text
        figures = re.search(r'([\d.]+) M\b.*?([\d.]+)\sG\b.*?([\d.]+) G\b',
                            shown, re.S)
        assert [float(figure) for figure in figures.groups()] == \
            pytest.approx([facts[key] / scale for key, scale in zip(
                FIGURES, (1e6, 1, 1))], abs=6e-4), name


def test_one_table_has_all_methods():
    text = (CONFIGS / 'README.md').read_text()
    for method in METHODS:
        assert f']({method}/README.md)' in text
    for path in CONFIGS.glob('*.py'):
        assert f'[{path.name}]({path.name})' in text
        row = next(line for line in text.splitlines() if path.name in line)
        assert re.search(r'\d+\.\d', row.split('|')[-2])
