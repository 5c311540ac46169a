"""Tiny students for the tests."""

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine import DefaultScope

from interpreters import run_forked
from mmgan_compress import save_student
from mmgan_compress.cli import COMMANDS, main
from mmgan_compress.core.messages import message_of
from mmgan_compress.registry import MODELS

REPO = Path(__file__).resolve().parents[1]
GENERATORS = {
    'resnet': dict(
        type='ResnetGenerator',
        in_channels=3,
        out_channels=3,
        base_channels=4,
        num_blocks=2,
        use_dropout=True,
    ),
    # mmagic's has dropout from six levels on
    'unet': dict(
        type='UnetGenerator',
        in_channels=3,
        out_channels=3,
        base_channels=4,
        num_down=6,
        use_dropout=True,
    ),
    'separable': dict(
        type='mmgan_compress.SeparableResnetGenerator', base_channels=4, num_blocks=2
    ),
    'cartoon': dict(type='mmgan_compress.CartoonGenerator', base_channels=4, num_blocks=2),
    'super': dict(type='mmgan_compress.SRResNet', base_channels=4, num_blocks=2),
}
# enlarges by nearest neighbours; of label maps; of images with a style
OTHERS = {
    'resized': dict(type='mmgan_compress.ResizeResnetGenerator', base_channels=4, num_blocks=2),
    'styled': dict(
        type='mmgan_compress.MUNITGenerator', base_channels=4, mlp_channels=8, num_blocks=1
    ),
    'labels': dict(
        type='mmgan_compress.SPADEGenerator',
        labels=dict(classes=16),
        base_channels=2,
        separable=True,
    ),
}
# commands under their older names, as the wrappers in tools/ have them
TOOLS = dict(
    compress='prune',
    prepare_data='data',
    prepare_weights='weights',
    convert_original='convert',
    save_teachers='teachers',
    make_teacher_images='images',
    get_flops='flops',
    demo_page='page',
)
MULTIPLE = dict(resnet=4, unet=64, separable=4, cartoon=4, super=1)


def make_model(kind='resnet', seed=0, reachable=('zebra',), **overrides):
    """Build a model with weights, and batch norms that have seen images."""
    torch.manual_seed(seed)
    config = dict({**GENERATORS, **OTHERS}[kind], **overrides)
    with DefaultScope.overwrite_default_scope('mmagic'):
        model = MODELS.build(
            dict(
                type='mmgan_compress.DistillationModel',
                generator=config,
                default_domain='zebra',
                reachable_domains=list(reachable),
                related_domains=['horse', 'zebra'],
            )
        )
    model.init_weights()
    for module in model.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
            torch.nn.init.kaiming_normal_(module.weight)
        elif getattr(module, 'running_var', None) is not None:
            module.running_mean.normal_(0, 0.5)
            module.running_var.uniform_(0.5, 2)
            if module.weight is not None:
                module.weight.data.uniform_(0.5, 1.5)
    return model


def make_student(path, kind='resnet', **kwargs):
    """Save a tiny student; return its model."""
    model = make_model(kind, **kwargs)
    save_student(path, model, source='Test', image_size=64)
    return model


def expected(model, x):
    """Return what the model's generator gives in eval mode."""
    with torch.no_grad():
        return model.generators['zebra'].eval()(x)


# packages that running a student does not need
_HIDE = """
import sys
from importlib.machinery import PathFinder
class Hide:
    names = set('onnx onnxruntime onnxscript onnx_ir tensorboard nni optuna '
                'torchmetrics torch_fidelity torch_pruning resvg_py '
                'neural_compressor openvino mmdeploy'.split())
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.split('.')[0] not in cls.names:
            return PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Hide
from mmgan_compress import load_student
"""


def run_python(code, *args, cwd):
    """Run code in a new process outside the repository.

    Packages that running a student does not need are hidden from it.
    """
    return run_forked(code, *args, shared=_HIDE, cwd=cwd)


def study(name):
    """Return the file of a study."""
    (path,) = REPO.glob(f'projects/*/{name}.py')
    return path


def run_tool(name, *words):
    """Run a command in this process, or a study in one of its own.

    Returns:
        subprocess.CompletedProcess: Exit status and what was printed.
    """
    name, words = TOOLS.get(name, name), [str(word) for word in words]
    if name not in COMMANDS:
        return subprocess.run([sys.executable, study(name), *words], capture_output=True, text=True)
    out, err = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main([name, *words])
        except SystemExit as error:  # wrong usage
            status = error.code
    return subprocess.CompletedProcess(
        [name, *words], status, *(stream.buffer.getvalue().decode() for stream in (out, err))
    )


def refused_by_tool(name, *words, monkeypatch=None):
    """Run a command that ends with an error; return its message."""
    done = run_tool(name, *words)
    assert done.returncode == 1 and 'Traceback' not in done.stderr, done
    return done.stderr[done.stderr.rindex('error: ') :].strip()


def message_of_error(function, *args, **keys):
    """Return what the command would print of a function's error."""
    with pytest.raises(Exception) as caught:
        function(*args, **keys)
    return message_of(caught.value)
