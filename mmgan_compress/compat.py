"""Every shim for the packages below us, one function per defect.

Each shim looks for its defect first and does nothing where it is absent, so
a working mmcv, torchvision or diffusion stack is left alone. What acted is
recorded in :data:`ACTIVE` (name -> reason), which ``python -m
mmgan_compress doctor`` prints. ``tests/test_compat.py`` tells when one is no
longer needed.
"""

import contextlib
import functools
import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import logging
import os
import pickle
import sys
import tempfile
import types
from collections.abc import Mapping

ACTIVE: dict[str, str] = {}

# What mmagic 1.2.0 imports at module level for models other than translation.
OTHER_MODELS = (
    'diffusers transformers mediapipe face_alignment facexlib '
    'controlnet_aux albumentations lpips resize_right open_clip '
    'clip av lmdb timm pandas click einops huggingface_hub '
    'safetensors imageio scipy tensorboard'
).split()
MMAGIC_PARTS = ('models', 'datasets', 'engine', 'evaluation', 'visualization')


# Optional packages, and which extra of ours (setup.cfg) installs them.
EXTRAS = {
    'resvg_py': 'data',
    'onnx': 'export',
    'onnx_ir': 'export',
    'onnxscript': 'export',
    'onnxruntime': 'export',
    'openvino': 'openvino',
    'ncnn': 'ncnn',
    'pnnx': 'ncnn',
    'litert_torch': 'litert',
    'ai_edge_litert': 'litert',
    'ai_edge_quantizer': 'litert',
    'executorch': 'executorch',
    'coremltools': 'coreml',
    'MNN': 'mnn',
    'nni': 'nni',
    'torch_pruning': 'pruning',
    'neural_compressor': 'quant',
    'optuna': 'search',
    'psycopg': 'postgresql',
    'tensorboard': 'tensorboard',
    'werkzeug': 'page',
}

# Systems that converters have wheels for, where some are left out.
WHEELS = {
    'litert_torch': 'x86-64 Linux and arm64 macOS; running needs ai-edge-litert only, '
    'which Windows and arm64 Linux have too',
    'ai_edge_quantizer': 'as litert-torch: x86-64 Linux and arm64 macOS',
    'executorch': 'Linux, Windows and arm64 macOS',
    'coremltools': 'x86-64 Linux and macOS',
}


def require(module: str, feature: str):
    """Import an optional package or say how to get it.

    Args:
        module (str): Name to import.
        feature (str): What needs it, for the message.

    Returns:
        module: The imported module.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f'{feature} needs {module!r}, which could not be imported '
            f'({error}). Install it with: {how_to_install(module)}'
        ) from error


def how_to_install(module: str) -> str:
    """Return the command that installs an optional package.

    Args:
        module (str): Name to import.
    """
    package = module.split('.')[0]
    extra = EXTRAS.get(package)
    command = 'pip install ' + (f'"mmgan_compress[{extra}]"' if extra else package)
    return command + (f' (wheels: {WHEELS[package]})' if package in WHEELS else '')


def version(module: str) -> str:
    """Return the installed version behind a module name, or ''."""
    for package in _packages().get(module, ())[:1]:
        found = importlib.metadata.version(package)
        return found if package == module else f'{found} ({package})'
    return ''


@functools.cache
def _packages() -> Mapping[str, list[str]]:
    """Return the names to install by the names to import, which differ."""
    return importlib.metadata.packages_distributions()


class _PlaceholderType(type):
    """Answers for a class or a decorator of a package that is not there."""

    def __call__(cls, *args, **kwargs):
        # `@placeholder` above a function of mmagic must leave it usable.
        if len(args) == 1 and not kwargs and callable(args[0]):
            return args[0]
        raise ImportError(
            f'{cls.__module__}.{cls.__name__} is a stand-in: '
            'install the package for the model that needs it'
        )

    def __getattr__(cls, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return _placeholder(cls.__module__, name)


def _placeholder(module: str, name: str):
    if name.startswith('is_'):  # is_xformers_available() and the like
        return lambda *args, **kwargs: False
    return _PlaceholderType(name, (), {'__module__': module})


class _PlaceholderModule(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return _placeholder(self.__name__, name)


class _PlaceholderFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds every sub-module of the packages that it stands in for."""

    def __init__(self, packages):
        self.packages = set(packages)

    def handles(self, name: str) -> bool:
        return name.split('.')[0] in self.packages or name == 'mmcv._ext' and name in self.packages

    def find_spec(self, name, path=None, target=None):
        if self.handles(name):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return _PlaceholderModule(spec.name)

    def exec_module(self, module):
        pass


@contextlib.contextmanager
def placeholders(packages):
    """Answer imports of ``packages`` with stand-ins inside the block only.

    The finder and all that it made leave ``sys`` again at the end: mmengine
    takes a ``mmcv._ext`` in ``sys.modules`` for a compiled mmcv.
    """
    import numpy

    finder = _PlaceholderFinder(packages)
    lacks_bool8 = not hasattr(numpy, 'bool8')
    hidden = {n: m for n, m in sys.modules.items() if finder.handles(n)}
    for name in hidden:
        del sys.modules[name]
    if lacks_bool8:  # removed from NumPy 2, read by mmagic at import
        numpy.bool8 = numpy.bool_
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [n for n in sys.modules if finder.handles(n)]:
            del sys.modules[name]
        sys.modules.update(hidden)
        if lacks_bool8:
            del numpy.bool8


def _is_missing(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is None
    except (ImportError, ValueError):
        return True


def _forget_mmagic():
    """Drop a half-made import of mmagic so that it can be made again."""
    registry = sys.modules.get('mmagic.registry')
    for name in [n for n in sys.modules if n.startswith('mmagic.')]:
        if name not in ('mmagic.registry', 'mmagic.version'):
            del sys.modules[name]
    if registry is not None:  # else each class would be registered twice
        for value in vars(registry).values():
            if hasattr(value, '_module_dict') and value.scope == 'mmagic':
                value._module_dict.clear()


def _import_mmagic(missing):
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # what it imports warns about itself
    try:
        with placeholders(missing):
            for part in MMAGIC_PARTS:
                importlib.import_module(f'mmagic.{part}')
    finally:
        logging.disable(before)


def load_mmagic():
    """Import mmagic's registered parts in any environment.

    First only absent packages are stood in for. If mmagic still cannot be
    imported (it uses names that newer releases of diffusers, transformers or
    NumPy removed), all packages of its other models are.
    """
    if 'mmagic.models' in sys.modules:
        return
    missing = [p for p in [*OTHER_MODELS, 'mmcv._ext'] if _is_missing(p)]
    try:
        _import_mmagic(missing)
        reason = 'not installed: ' + ', '.join(missing)
    except (ImportError, AttributeError, RuntimeError, TypeError) as error:
        _forget_mmagic()
        ext = [p for p in missing if p == 'mmcv._ext']
        _import_mmagic([*OTHER_MODELS, *ext])
        reason = f'mmagic does not import with the versions found ({error})'
        missing = OTHER_MODELS
    if missing:
        ACTIVE['placeholders'] = reason


def stub_torchvision_ops():
    """Make ``import torchvision`` work where its compiled ops do not load.

    That is so for a CUDA build of torchvision beside a CPU build of torch;
    the two schemas are all that its import reads of them.
    """
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if 'torchvision::' not in str(error):
            raise
        for name in [n for n in sys.modules if n.startswith('torchvision')]:
            del sys.modules[name]
        for op in ('nms', 'qnms'):
            torch.library.define(
                f'torchvision::{op}', '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor'
            )
        importlib.import_module('torchvision')
        ACTIVE['stub_torchvision_ops'] = str(error)


def generation_init_weights_is_broken(function) -> bool:
    """Tell whether mmagic's weight initialisation raises for a generator."""
    import torch.nn as nn

    probe = nn.Sequential()
    probe._params_init_info = {}
    try:
        function(probe)
    except UnboundLocalError:
        return True
    return False


def fix_generation_init_weights():
    """Mend ``UnboundLocalError: init_info`` (mmagic model_utils.py:143).

    The function logs about the module that it is given before anything was
    initialised in it; hiding the log table from it for the call avoids that.
    """
    from mmagic.models.utils import model_utils

    broken = model_utils.generation_init_weights
    if not generation_init_weights_is_broken(broken):
        return

    @functools.wraps(broken)
    def mended(module, *args, **kwargs):
        info = module.__dict__.pop('_params_init_info', None)
        broken(module, *args, **kwargs)
        if info is not None:
            module._params_init_info = info

    for module in list(sys.modules.values()):  # it is imported by name
        if getattr(module, 'generation_init_weights', None) is broken:
            module.generation_init_weights = mended
    ACTIVE['fix_generation_init_weights'] = 'init_info is read before it is set'


def runner_checkpoints_are_refused() -> bool:
    """Tell whether mmengine cannot load what its own Runner saves."""
    import torch
    from mmengine.logging import HistoryBuffer
    from mmengine.runner.checkpoint import load_from_local

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'probe.pth')
        torch.save(HistoryBuffer([1.0], [1]), path)
        try:
            load_from_local(path, 'cpu')
        except pickle.UnpicklingError:
            return True
    return False


def allow_runner_checkpoints():
    """Let mmengine's Runner read checkpoints of plain mmagic runs again.

    torch >= 2.6 refuses the ``HistoryBuffer`` in them, whose pickle asks for
    ``getattr``: a stand-in gives it the methods of that class and nothing
    else. And the config in a checkpoint is left out, because
    ``Runner.resume`` would execute it to compare numbers of GPUs.
    Checkpoints of our own runs are plain (see ``engine/resume.py``).
    """
    import numpy as np
    import torch
    from mmengine.logging import HistoryBuffer
    from mmengine.runner import Runner

    original = Runner.load_checkpoint
    if hasattr(original, '__wrapped__') or not runner_checkpoints_are_refused():
        return

    def method(owner, name):
        if owner is not HistoryBuffer or name.startswith('_'):
            raise pickle.UnpicklingError(f'it asks for {name!r} of {owner!r}')
        return getattr(owner, name)

    core = np._core if hasattr(np, '_core') else np.core
    dtypes = {type(np.dtype(c)) for c in '?bBhHiIlLqQefdg'}
    allowed = [
        HistoryBuffer,
        core.multiarray._reconstruct,
        np.ndarray,
        np.dtype,
        core.multiarray.scalar,
        (method, 'builtins.getattr'),
        *dtypes,
    ]

    @functools.wraps(original)
    def load_checkpoint(self, *args, **kwargs):
        with torch.serialization.safe_globals(allowed):
            checkpoint = original(self, *args, **kwargs)
        checkpoint.get('meta', {}).pop('config', None)
        return checkpoint

    Runner.load_checkpoint = load_checkpoint
    ACTIVE['allow_runner_checkpoints'] = 'torch.load is weights_only'


@functools.lru_cache(None)
def install():
    """Apply all shims, in order; the second call does nothing."""
    stub_torchvision_ops()
    load_mmagic()
    fix_generation_init_weights()
    allow_runner_checkpoints()
