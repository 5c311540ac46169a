"""What users of this project extend has a registry of its own."""
import logging

import pytest
from mmengine.registry import DefaultScope

from mmgan_compress.registry import (DISTILLERS, HOOKS, LOOPS, MODELS,
                                     PRUNERS, QUANTIZERS, SEARCHERS)

REGISTRIES = dict(OMGDCycleGAN=DISTILLERS, TorchPruner=PRUNERS,
                  NNIPruner=PRUNERS, ORTStatic=QUANTIZERS, nsga2=SEARCHERS,
                  SSIMTerm=MODELS, StudentHook=HOOKS, DistillTrainLoop=LOOPS)


@pytest.mark.parametrize('name', REGISTRIES)
def test_each_class_is_in_one_registry(name):
    found = [registry for registry in {id(r): r for r in
                                       REGISTRIES.values()}.values()
             if registry.get(f'mmgan_compress.{name}')]
    assert found == [REGISTRIES[name]]


@pytest.mark.parametrize('scope', ['mmengine', 'mmagic', 'mmgan_compress'])
@pytest.mark.parametrize('prefix', ['', 'mmgan_compress.'])
def test_classes_of_users_are_built_from_any_scope(scope, prefix, caplog):
    @PRUNERS.register_module(force=True)
    class OfAUser:
        pass

    with DefaultScope.overwrite_default_scope(scope), \
            caplog.at_level(logging.WARNING):
        assert isinstance(PRUNERS.build(dict(type=prefix + 'OfAUser')),
                          OfAUser)
    assert not caplog.records


def test_a_dotted_name_is_not_imported():
    with pytest.raises(KeyError):
        PRUNERS.build(dict(type='os.system', command='true'))
