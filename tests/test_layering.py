"""Who may import whom, and what no file of the package does."""

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mmgan_compress

PACKAGE = Path(__file__).resolve().parents[1] / 'mmgan_compress'
FILES = sorted(PACKAGE.rglob('*.py'))
# low to high: a package imports from the rows above its own
LAYERS = [
    ['core'],
    ['datasets', 'demo'],
    ['losses'],
    ['models'],
    ['distillers', 'evaluation', 'deploy'],
    ['pruning', 'quantization'],
    ['engine'],
    ['integrations', 'search'],
    ['inference'],
    ['benchmark'],
    ['cli'],
    ['__init__', '__main__'],
]
# they say at their head why they need private names of other packages
WORKAROUNDS = {'compat.py', 'base_layers.py'}
RANKS = {name: rank for rank, row in enumerate(LAYERS) for name in row}
# they stand beside the layers: all import them
FREE = {'registry', 'compat', 'renamed', '__version__'}
# what a free module may import itself
FREE_IMPORTS = {'registry': set(), 'compat': set(), 'renamed': {'core'}}


def imported(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield line and full name of each import, those in functions too."""
    here = ['mmgan_compress', *path.relative_to(PACKAGE).with_suffix('').parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = here[: -node.level] if node.level else []
            base += (node.module or '').split('.') if node.module else []
            yield from ((node.lineno, [*base, alias.name]) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split('.')) for alias in node.names)


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix('').parts[0]


@pytest.mark.parametrize('path', FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_layers(path):
    layer = layer_of(path)
    for line, (root, *names) in imported(path):
        if root != 'mmgan_compress' or not names:
            continue
        other = names[0]
        if other == layer or other in FREE:
            continue
        allowed = (
            other in FREE_IMPORTS[layer] if layer in FREE_IMPORTS else RANKS[other] < RANKS[layer]
        )
        assert allowed, f'{path}:{line}: {layer} must not import {other}'


def test_each_package_has_a_layer():
    found = {layer_of(path) for path in FILES} - {'.mim'}
    assert found == RANKS.keys() | FREE_IMPORTS.keys()


def has_comment(lines: list[str], line: int) -> bool:
    """Tell whether a line (1-based) or the one above has a comment."""
    own, above = lines[line - 1], lines[line - 2] if line > 1 else ''
    words = re.sub(r'noqa(: \w+)?', '', own.partition('#')[2]).strip()
    return bool(words) or above.strip().startswith('#')


@pytest.mark.parametrize(
    'path',
    [p for p in FILES if p.name not in WORKAROUNDS],
    ids=lambda p: str(p.relative_to(PACKAGE)),
)
def test_private_names_of_other_packages_have_a_reason(path):
    """Imports of them, and attributes of a module that is imported."""
    lines = path.read_text().splitlines()
    tree = ast.parse(path.read_text())
    uses, modules = [], set()
    for line, (root, *names) in imported(path):
        if root != 'mmgan_compress':
            uses += [(line, name) for name in names if re.match('_[A-Za-z]', name)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.asname or alias.name.partition('.')[0] for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.match('_[A-Za-z]', node.attr):
            base = node.value
            while isinstance(base, ast.Attribute):
                base = base.value
            if isinstance(base, ast.Name) and base.id in modules:
                uses.append((node.lineno, node.attr))
    wrong = [f'{path}:{line}: {name}' for line, name in uses if not has_comment(lines, line)]
    assert not wrong, 'private, and no comment says why:\n' + '\n'.join(wrong)


def test_public_names_have_docstrings():
    """Ruff sees functions and classes; here an override inherits its own."""
    bare = []
    for info in pkgutil.walk_packages(mmgan_compress.__path__, 'mmgan_compress.'):
        if info.name.endswith('__main__'):
            continue
        module = importlib.import_module(info.name)
        for cls in vars(module).values():
            if (
                not inspect.isclass(cls)
                or cls.__module__ != info.name
                or cls.__name__.startswith('_')
            ):
                continue
            bare += [
                f'{info.name}.{cls.__name__}.{name}'
                for name, value in vars(cls).items()
                if not name.startswith('_')
                and (
                    inspect.isfunction(value)
                    or isinstance(value, (classmethod, staticmethod, property))
                )
                and not inspect.getdoc(getattr(cls, name))
            ]
    assert not bare, 'no docstring:\n' + '\n'.join(sorted(bare))


def test_no_eval_and_safe_loading():
    for path in [*FILES, *(PACKAGE.parent / 'tools').glob('*.py')]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            assert name not in ('eval', 'exec'), path
            if name == 'torch.load':
                safe = [
                    k
                    for k in node.keywords
                    if k.arg == 'weights_only' and ast.unparse(k.value) == 'True'
                ]
                assert safe, f'{path}: torch.load without weights_only=True'
            assert not [k for k in node.keywords if k.arg == 'shell'], path
