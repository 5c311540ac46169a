"""Show what is installed, worked around and missing, by feature."""

import argparse
import platform

from .. import compat
from ..compat import EXTRAS, how_to_install, version

FEATURES = {
    'training and scoring': [
        'torch',
        'torchvision',
        'mmengine',
        'mmcv',
        'mmagic',
        'torchmetrics',
        'cv2',
    ],
    'export to ONNX': ['onnx', 'onnxscript', 'onnxruntime'],
    'export to OpenVINO': ['openvino'],
    'export to ncnn': ['ncnn', 'pnnx'],
    'export to LiteRT': ['litert_torch', 'ai_edge_litert', 'ai_edge_quantizer'],
    'export to ExecuTorch': ['executorch'],
    'export to Core ML': ['coremltools'],
    'export to MNN': ['MNN'],
    'pruning by Torch-Pruning': ['torch_pruning'],
    'pruning and quantization by NNI': ['nni'],
    'quantization by neural-compressor': ['neural_compressor'],
    'search': ['optuna'],
    'search on several machines': ['psycopg'],
    'page in the browser': ['werkzeug'],
    'data sets drawn from SVG': ['resvg_py'],
    'TensorBoard': ['tensorboard'],
}


def report() -> tuple[list[str], bool]:
    """Return the lines to print and whether training can work."""
    lines = [f'Python {platform.python_version()}, {platform.machine()}, {platform.system()}']
    healthy = True
    for feature, modules in FEATURES.items():
        optional = modules[0] in EXTRAS
        missing = [m for m in modules if not version(m)]
        lines.append(
            f'\n{feature}: ' + ('ready' if not missing else f'missing {", ".join(missing)}')
        )
        lines += [f'  {m} {version(m)}' for m in modules if version(m)]
        if missing and optional:
            lines.append(f'  {how_to_install(modules[0])}')
        healthy &= optional or not missing
    if healthy:
        lines += _shims() + _weights() + _device()
    return lines, healthy


def _shims() -> list[str]:
    compat.install()
    active = [f'  {name}: {why}' for name, why in compat.ACTIVE.items()]
    return ['\nshims at work:'] + (active or ['  none'])


def _weights() -> list[str]:
    from ..datasets.weights import weights_path

    lines = ['\nprepared weights:']
    for name, use in (('vgg16', 'perceptual losses, LPIPS'), ('inception', 'FID')):
        try:
            lines.append(f'  {name} ({use}): {weights_path(name)}')
        except FileNotFoundError:
            lines.append(f'  {name} ({use}): missing, mmgan-compress weights {name}')
    return lines


def _device() -> list[str]:
    import torch

    if torch.cuda.is_available():
        return [f'\ndevice: {torch.cuda.get_device_name()}']
    return [f'\ndevice: CPU, {torch.get_num_threads()} threads']


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command: none."""


def run(args: argparse.Namespace) -> int:
    """Print the report; 1 if training cannot work."""
    lines, healthy = report()
    print('\n'.join(lines))
    return 0 if healthy else 1
