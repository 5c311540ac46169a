"""Metafiles and pages name what exists, and figures that are measured."""

import configparser
import functools
import json
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest
import torch
import yaml
from mmengine import DefaultScope

from mmgan_compress import cli
from mmgan_compress.core.channels import input_shape
from mmgan_compress.core.complexity import count_macs, count_params
from mmgan_compress.core.domains import per_domain
from mmgan_compress.registry import MODELS
from recipes import CONFIGS, RECIPES, ROOT, folder_of, load

METAFILES = sorted(CONFIGS.rglob('metafile.yml'))
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (
        *ROOT.glob('*.md'),
        *(ROOT / 'docs').rglob('*.md'),
        *CONFIGS.rglob('README.md'),
        *(ROOT / 'projects').rglob('README.md'),
    )
)
FIGURES = ('Parameters', 'MACs (G)', "MACs, papers' (G)")
METHODS = sorted({folder_of(name) for name in RECIPES})


def test_basenames_are_unique():
    """mim finds configs by their basename in the whole tree."""
    names = Counter(path.name for path in CONFIGS.rglob('*.py'))
    assert max(names.values()) == 1, names.most_common(3)


def entries():
    return [
        (path, model) for path in METAFILES for model in yaml.safe_load(path.read_text())['Models']
    ]


def facts_of(name):
    return next(m for _, m in entries() if m['Name'] == name)['Metadata']


# --- metafiles --------------------------------------------------------------
def test_every_recipe_is_in_the_metafile_of_its_folder():
    listed = {model['Config']: path.parent.name for path, model in entries()}
    assert len(listed) == len(entries())
    assert listed == {
        path.relative_to(ROOT).as_posix(): folder_of(name) for name, path in RECIPES.items()
    }


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
FAMILIES = {
    'Resnet': 'resnet',
    'Cartoon': 'cartoon',
    'Unet': 'unet',
    'SRResNet': 'srresnet',
    'SPADE': 'spade',
    'MUNIT': 'munit',
    'SelfAttention': 'attention',
    'DeepUnet': 'unet',
    '': 'mobile',
}


def short(generator):
    """Return ``'unet-deep16'`` for the config of such a network."""
    kind = generator.type.split('.')[-1]
    if kind in ('SlimNetwork', 'SuperNet'):
        suffix = 'slim' if kind == 'SlimNetwork' else 'super'
        return f'{short(generator.arch)}-{suffix}'
    name = next(name for part, name in FAMILIES.items() if kind.startswith(part))
    if generator.get('separable'):
        name = f'mobile-{name}'
    return name + ('-deep' if 'Deep' in kind else '') + str(generator.get('base_channels', 64))


def network_of(teacher):
    """Return the config of a teacher's generator; it may be a model of one
    or of several alike."""
    several = teacher.get('generators') or {'': teacher}
    return teacher.get('generator') or next(iter(several.values()))


def teachers_in(distiller):
    teachers = [distiller.get('teacher'), *(distiller.get('teachers') or {}).values()]
    return (
        ' + '.join(
            'folder of images'
            if teacher.type.endswith('StoredTeacher')
            else 'the truth'
            if teacher.type.endswith('TruthTeacher')
            else short(network_of(teacher))
            for teacher in teachers
            if teacher
        )
        or 'none'
    )


@functools.cache
def measured(config, size):
    """Return the figures of a generator by its config, as JSON."""
    with DefaultScope.overwrite_default_scope('mmagic'), torch.device('meta'):
        network = MODELS.build(json.loads(config))
    macs = count_macs(network, input_shape(network, size))
    return (count_params(network), round(macs.macs / 1e9, 4), round(macs.macs_paper / 1e9, 4))


@pytest.mark.parametrize('name', RECIPES)
def test_metafile_figures(name):
    cfg, facts = load(name), facts_of(name)
    student = per_domain(cfg.model.generator, cfg.model.reachable_domains)[cfg.model.default_domain]
    size = cfg.train_dataloader.dataset.size
    assert measured(json.dumps(student.to_dict()), size) == tuple(facts[key] for key in FIGURES)
    assert facts['Training Data'] == Path(cfg.train_dataloader.dataset.data_root).name
    assert facts['Student'] == short(student)
    assert facts['Teacher'] == teachers_in(cfg.model.distiller)


# --- pages ------------------------------------------------------------------
def anchors(text):
    """Return the anchors that a renderer makes of the headings."""
    titles = re.findall(r'^#+ (.*)$', text, re.M)
    return {re.sub(r'[^\w\- ]', '', title).strip().lower().replace(' ', '-') for title in titles}


@pytest.mark.parametrize('page', PAGES)
def test_page_names_what_exists(page):
    """Configs, tools, projects and links; pictures may be made later."""
    text, here = (ROOT / page).read_text(), (ROOT / page).parent
    links = re.findall(r'(?<!!)\[[^]]*\]\((?!https?:)([^)#]+)#?([^)]*)\)', text)
    for path, anchor in links:
        assert (here / path).exists(), path
        if anchor:
            assert anchor in anchors((here / path).read_text()), anchor
    for name in re.findall(r'(?:configs|tools|projects|tests)/[\w./-]+\.(?:py|yml|sh)', text):
        assert (ROOT / name).exists(), name


def test_every_page_is_in_the_table_of_contents():
    index = ROOT / 'docs/index.md'
    listed = {index}
    for page in (index, index.parent / 'api.md'):
        for tree in re.findall(r'```{toctree}\n(.*?)```', page.read_text(), re.S):
            for line in tree.splitlines():
                name = re.sub(r'.*<(.*)>', r'\1', line)
                if name and not name.startswith(':'):
                    listed.add((index.parent / f'{name}.md').resolve())
    shown = {ROOT / page for page in PAGES if '/' in page}
    assert shown <= listed and all(path.exists() for path in listed)


def test_front_page_is_short():
    assert len((ROOT / 'README.md').read_text().splitlines()) <= 150


def commands(pattern):
    """Yield page and match of every command that is shown."""
    for page in PAGES:
        text = (ROOT / page).read_text().replace('\n--', ' --')
        for match in re.finditer(pattern, text):
            yield page, match


def test_commands_have_the_options_that_are_shown():
    shown = set()
    for page, match in commands(r'mmgan-compress ([a-z]+)\b([^`\n#]*)'):
        name, rest = match.groups()
        assert name in cli.COMMANDS, (page, match[0])
        help_text = cli.make_parser(name).format_help()
        for option in re.findall(r'(?<=[ \[])--[\w-]+', rest):
            assert option in help_text, (page, name, option)
        shown.add(name)
    assert shown == set(cli.COMMANDS)


def test_studies_have_the_options_that_are_shown():
    shown = set()
    for page, match in commands(r'python (projects/\w+/\w+\.py)([^`\n#]*)'):
        source = (ROOT / match[1]).read_text()
        for option in re.findall(r'(?<=[ \[])--[\w-]+', match[2]):
            assert f"'{option}'" in source, (page, match[1], option)
        shown.add(Path(match[1]).stem)
    assert {'compare_distilled', 'benchmark_relations', 'compare_steps', 'compare_pruners'} <= shown


def lines_of_shell(page):
    """Return the lines of a page's shell blocks, without comments."""
    found = re.findall(r'```shell\n(.*?)```', (ROOT / page).read_text(), re.S)
    return [
        line
        for block in found
        for line in block.splitlines()
        if line.strip() and not line.startswith('#')
    ]


@pytest.mark.parametrize('page', [page for page in PAGES if lines_of_shell(page)])
def test_shell_blocks_are_valid_commands(page):
    """Every whole command that is shown gets past its parser."""
    for line in lines_of_shell(page):
        words = shlex.split(line, comments=True)
        if 'mmgan-compress' not in words:
            continue
        name, *rest = words[words.index('mmgan-compress') + 1 :]
        cli.make_parser(name).parse_args(rest)  # exits on a mistake


def test_quick_start_names_every_extra_and_command():
    text = (ROOT / 'docs/quick_start.md').read_text()
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / 'setup.cfg')
    for name in {*setup['options.extras_require'], *cli.COMMANDS} - {'test'}:
        assert f'`{name}`' in text, name


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
        figures = re.search(r'([\d.]+) M\b.*?([\d.]+)\sG\b.*?([\d.]+) G\b', shown, re.S)
        assert [float(figure) for figure in figures.groups()] == pytest.approx(
            [facts[key] / scale for key, scale in zip(FIGURES, (1e6, 1, 1))], abs=6e-4
        ), name


def test_one_table_has_all_methods():
    text = (CONFIGS / 'README.md').read_text()
    for method in METHODS:
        assert f']({method}/README.md)' in text
    for path in CONFIGS.glob('*.py'):
        assert f'[{path.name}]({path.name})' in text
        row = next(line for line in text.splitlines() if path.name in line)
        assert re.search(r'\d+\.\d', row.split('|')[-2])
