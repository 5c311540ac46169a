"""Who may import whom: `core` <- `models` <- `distillers`, and so on."""
import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / 'mmgan_compress'
# everyone may import these
FREE = {'registry', 'compat', 'renamed', '__version__'}
ALLOWED = {
    'core': set(),
    'datasets': {'core'},
    'losses': {'core'},
    'models': {'core', 'datasets', 'losses'},
    'distillers': {'core', 'losses', 'models'},
    'evaluation': {'core', 'datasets', 'models'},
    'deploy': {'core', 'datasets', 'models'},
    'pruning': {'core', 'models', 'deploy'},
    'quantization': {'core', 'datasets', 'models', 'deploy', 'pruning'},
    'engine': {'core', 'datasets', 'losses', 'models', 'distillers',
               'evaluation', 'deploy', 'pruning', 'quantization', 'demo'},
    'integrations': {'core', 'models', 'pruning', 'quantization', 'engine'},
    'search': {'core', 'datasets', 'models', 'pruning', 'evaluation',
               'deploy', 'engine'},
    'demo': {'core'},
    'compat': set(),
    'registry': set()
}
FILES = sorted(PACKAGE.rglob('*.py'))


def imports(path):
    """Yield top-level parts of the package that a file imports."""
    parts = path.relative_to(PACKAGE).with_suffix('').parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = parts[:len(parts) - node.level]
            names = (node.module or '').split('.') if node.module else []
            target = [*base, *names]
            if target:
                yield target[0]
            else:
                yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and \
                (node.module or '').startswith('mmgan_compress.'):
            yield node.module.split('.')[1]


def layer_of(path):
    return path.relative_to(PACKAGE).with_suffix('').parts[0]


# a module at the top that is not named above may import what it likes
@pytest.mark.parametrize('path', [p for p in FILES if layer_of(p) in ALLOWED],
                         ids=lambda p: str(p.relative_to(PACKAGE)))
def test_layers(path):
    layer = layer_of(path)
    wrong = set(imports(path)) - ALLOWED[layer] - FREE - {layer}
    assert not wrong, f'{layer} must not import {wrong}'


def test_no_eval_and_safe_loading():
    for path in [*FILES, *(PACKAGE.parent / 'tools').glob('*.py')]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            assert name not in ('eval', 'exec'), path
            if name == 'torch.load':
                safe = [k for k in node.keywords if k.arg == 'weights_only'
                        and ast.unparse(k.value) == 'True']
                assert safe, f'{path}: torch.load without weights_only=True'
            assert not [k for k in node.keywords if k.arg == 'shell'], path
