"""Native code of a network, compiled by torch's inductor ahead of time.

The file is a zip with a shared library inside, for processors that have at
least the vector instructions of the one that made it. Opening it runs what is
in it: open only files that you made, or have reason to trust.
"""

import json
import os
import platform
import shlex
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import torch
import torch.nn as nn
from torch import Tensor
from tqdm import tqdm

from ..core.processors import X86
from .onnx import silenced

SUFFIX = '.aoti.pt2'  # torch insists on the end
_NATIVE = '/data/aotinductor/'  # folder of the zip
_METADATA = 'wrapper_metadata.json'
_FACTS = 'facts'
# inductor's names of vector instructions, and torch's names of capabilities
_VECTORS = dict(avx2='avx2', avx512='avx512_f', avx512_vnni='avx512_vnni', amx_tile='amx_tile')


def check_compiler() -> None:
    """Raise ImportError if there is no C++ compiler."""
    named = os.environ.get('CXX')
    names = shlex.split(named)[:1] if named else ['g++', 'clang++', 'cl']
    if not any(map(shutil.which, names)):
        raise ImportError(
            'inductor needs a C++ compiler and found none: install g++ or '
            'clang++, or name one in the environment variable CXX'
        )


def compile_network(
    net: nn.Module, example: tuple[Tensor, ...], free: Any, path: Path, facts: dict[str, str]
) -> None:
    """Compile a network; that takes 15 to 90 seconds.

    Args:
        net (nn.Module): Network, of ``deploy.onnx.traceable``.
        example (tuple[Tensor]): Examples of its inputs, likewise.
        free (Any): ``dynamic_shapes``, likewise.
        path (Path): File to write, ``*.aoti.pt2``.
        facts (dict[str, str]): Metadata for the file.

    Raises:
        ImportError: If there is no C++ compiler.
    """
    check_compiler()
    # the address in torch's AOTInductor guide; there is no public one
    from torch._inductor import aoti_compile_and_package

    options = {
        'freezing': True,  # weights are laid out for oneDNN, and integers
        # else the number of threads of today is in the code, and where that is
        # one, loops are cut so that more have nothing to do
        'cpp.dynamic_threads': True,
        'cpp.threads': max(2, os.cpu_count() or 2),
        # else whatever this processor has is used, and nothing says so:
        # vector instructions are named one by one, and in the metadata
        'cpp.march': '',
        'aot_inductor.metadata': {_FACTS: json.dumps(facts)},
    }
    with silenced(), torch.no_grad(), tqdm(total=1, desc='inductor compiles') as bar:
        program = torch.export.export(net, example, dynamic_shapes=free)
        aoti_compile_and_package(program, package_path=str(path), inductor_configs=options)
        bar.update()


def native_files(path: Path) -> list[str]:
    """Return the names of files of native code; none if it is no zip."""
    if not zipfile.is_zipfile(path):
        return []
    with zipfile.ZipFile(path) as file:
        return [name for name in file.namelist() if _NATIVE in f'/{name}']


def read_facts(path: Path) -> dict[str, str]:
    """Read the metadata of a file, and check that it can run here.

    Nothing of the file is run.

    Args:
        path (Path): What :func:`compile_network` wrote.

    Raises:
        ValueError: If it is another file, or for another processor.
    """
    name = next((name for name in native_files(path) if name.endswith(_METADATA)), None)
    if name is None:
        raise ValueError(
            f"{path} holds no native code of inductor: expected what export writes for 'inductor'"
        )
    with zipfile.ZipFile(path) as file:
        metadata = json.loads(file.read(name))
    needs = [metadata.get(f'AOTI_{key}', '').lower() for key in ('PLATFORM', 'MACHINE', 'CPU_ISA')]
    has = [sys.platform, platform.machine().lower(), _vectors()]
    if (
        needs[:2] != has[:2]
        or platform.machine() in X86
        and set(needs[2].split()) - set(has[2].split())
    ):
        raise ValueError(
            f'{path} is native code for {" ".join(needs)}, this is '
            f'{" ".join(has)}: export it on a machine like this one'
        )
    return json.loads(metadata.get(_FACTS, '{}'))


def _vectors() -> str:
    """Return the vector instructions of the processor, as inductor does."""
    known = getattr(torch.cpu, 'get_capabilities', dict)()
    return ' '.join(name for name, key in _VECTORS.items() if known.get(key))
