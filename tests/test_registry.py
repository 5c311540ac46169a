"""What users of this project extend has a registry of its own."""

import ast
import importlib
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.registry import DefaultScope

import mmgan_compress
from mmgan_compress.registry import DISTILLERS, HOOKS, LOOPS, MODELS, PRUNERS, QUANTIZERS, SEARCHERS

REGISTRIES = dict(
    OMGDCycleGAN=DISTILLERS,
    TorchPruner=PRUNERS,
    NNIPruner=PRUNERS,
    ORTStatic=QUANTIZERS,
    nsga2=SEARCHERS,
    SSIMLoss=MODELS,
    StudentHook=HOOKS,
    DistillTrainLoop=LOOPS,
)


@pytest.mark.parametrize('name', REGISTRIES)
def test_each_class_is_in_one_registry(name):
    found = [
        registry
        for registry in {id(r): r for r in REGISTRIES.values()}.values()
        if registry.get(f'mmgan_compress.{name}')
    ]
    assert found == [REGISTRIES[name]]


@pytest.mark.parametrize('scope', ['mmengine', 'mmagic', 'mmgan_compress'])
@pytest.mark.parametrize('prefix', ['', 'mmgan_compress.'])
def test_classes_of_users_are_built_from_any_scope(scope, prefix, caplog):
    @PRUNERS.register_module(force=True)
    class OfAUser:
        pass

    with DefaultScope.overwrite_default_scope(scope), caplog.at_level(logging.WARNING):
        assert isinstance(PRUNERS.build(dict(type=prefix + 'OfAUser')), OfAUser)
    assert not caplog.records


def test_a_dotted_name_is_not_imported():
    with pytest.raises(ValueError, match='no pruner'):
        PRUNERS.build(dict(type='os.system', command='true'))


PACKAGE = Path(mmgan_compress.__file__).parent
# their modules are imported one by one: fetching a data set needs no torch,
# mmdeploy imports its task itself
LIGHT = {'datasets', 'deploy', 'search'}


def registered(path):
    """Yield the classes and functions that a file puts into a registry."""
    for node in ast.parse(path.read_text()).body:
        if any(
            'register_module' in ast.unparse(decorator)
            for decorator in getattr(node, 'decorator_list', [])
        ):
            yield node.name


@pytest.mark.parametrize(
    'path',
    [
        path
        for path in sorted(PACKAGE.rglob('*.py'))
        if path.parent.name not in LIGHT and any(registered(path))
    ],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_what_is_registered_is_exported(path):
    """A package imports what it registers by name, so that editors and the
    reference of the API see it; nothing is found by walking folders."""
    package = path.parent.relative_to(PACKAGE.parent).as_posix()
    exported = importlib.import_module(package.replace('/', '.'))
    assert set(registered(path)) <= set(exported.__all__)


def test_the_public_names_exist_and_load_late():
    for name in mmgan_compress.__all__:
        assert callable(getattr(mmgan_compress, name))
    code = (
        'import sys, mmgan_compress; assert not {"torch", "mmengine", "mmagic"} & set(sys.modules)'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
