"""Small networks gain nothing from threads; barriers cost them much."""

import functools
import gc
import hashlib
import io
import os
import pickle
from unittest import mock

import pytest
import torch
from mmengine.registry import DefaultScope

# make test-portable asks for two; it is for the commands that tests run, too
os.environ.setdefault('OMP_NUM_THREADS', '1')
torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))


class ByContent(pickle.Pickler):
    """Pickle equal networks to equal bytes; torch writes addresses for tensors."""

    def reducer_override(self, value):
        if isinstance(value, torch.Tensor):
            return bytes, (value.detach().contiguous().numpy().tobytes(), value.shape, value.dtype)
        return NotImplemented


def exported_once(export):
    """Return an export to ONNX that does the same work only once.

    Students of one kind have the same weights in all tests.
    """
    made = {}

    def call(net, images, *file, **options):
        import onnx
        import onnx_ir as ir

        content = io.BytesIO()
        try:
            ByContent(content).dump((net, images))
        # a class inside a test, tensors that numpy does not know
        except (AttributeError, RuntimeError, TypeError, pickle.PicklingError):
            content = None
        if file or not content:
            return export(net, images, *file, **options)
        key = hashlib.sha256(content.getvalue()).digest(), str(options)
        if key not in made:
            program = export(net, images, **options)
            made[key] = ir.to_proto(program.model).SerializeToString()
        model = ir.from_proto(onnx.load_from_string(made[key]))
        return torch.onnx.ONNXProgram(model, None)

    return call


@pytest.fixture(autouse=True, scope='session')
def quick_start():
    """Leave out what each run does anew and no result depends on.

    The layout of a config's text takes half a second, a compiler is asked for
    its version, and an export to ONNX parses all operators that torch knows,
    which is a third of its time. Processes that tests start do all three. What
    is imported by now is no garbage: a search for some takes a third of a second.
    """
    from mmengine.runner import runner

    # private: torch has no way to keep them
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    operators = staticmethod(functools.cache(ONNXRegistry.from_torchlib))
    with (
        mock.patch('mmengine.config.config.FormatCode', lambda text, **_: (text, True)),
        mock.patch.object(runner, 'collect_env', functools.cache(runner.collect_env)),
        mock.patch.object(ONNXRegistry, 'from_torchlib', operators),
        mock.patch.object(torch.onnx, 'export', exported_once(torch.onnx.export)),
    ):
        gc.collect()
        gc.freeze()
        yield


@pytest.fixture(autouse=True)
def default_scope():
    """Run each test in the scope that the configs set."""
    with DefaultScope.overwrite_default_scope('mmagic'):
        yield


@pytest.fixture(scope='session')
def vgg_file(tmp_path_factory):
    """Return VGG-16 weights by the recipe of the golden fixtures.

    All networks share the tensors, which never change: the file has 59 MB.
    """
    from mmgan_compress.models.perceptual import VGG16Features
    from toy import seeded_vgg

    path, state, read = (
        str(tmp_path_factory.mktemp('weights') / 'vgg16.pth'),
        seeded_vgg(),
        VGG16Features._read,
    )
    torch.save(state, path)
    shared = staticmethod(lambda weights: state if weights == path else read(weights))
    with mock.patch.object(VGG16Features, '_read', shared):
        yield path


@pytest.fixture
def recipe(tmp_path, vgg_file):
    """Return a maker of toy recipes without a report.

    By method, model, hooks of this package and arguments of the distiller.
    """
    from toy import toy_config, without_report

    def make(method, model, hooks=(), **distiller):
        cfg = toy_config(model, tmp_path / f'data_{model}', vgg_file, method=method)
        cfg.model.distiller.update(distiller)
        cfg.custom_hooks = [dict(hook, type=f'mmgan_compress.{hook["type"]}') for hook in hooks]
        return without_report(cfg)

    return make
