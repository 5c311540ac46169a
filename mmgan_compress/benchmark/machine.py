"""The machine that figures were measured on."""

import contextlib
import importlib.metadata
import os
import platform
from pathlib import Path

from .. import __version__

PACKAGES = ('torch', 'onnxruntime', 'openvino', 'ncnn', 'ai-edge-litert', 'executorch', 'mnn')
# what has to be equal in two runs that are compared
SAME = ('cpu', 'cores', 'os', 'threads', 'size')


def machine_facts(threads: list[int], size: int) -> dict:
    """Describe the machine and the versions of what runs on it.

    Args:
        threads (list[int]): Numbers that each model is timed with.
        size (int): Side of the images.

    Returns:
        dict: ``cpu``, ``cores``, ``os``, ``python``, ``versions``,
        ``threads``, ``size`` and ``load``, the processes that wanted to run
        in the last minute (None where the system does not tell).
    """
    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return dict(
        cpu=_cpu(),
        cores=os.cpu_count(),
        os=f'{platform.system()} {platform.machine()}',
        python=platform.python_version(),
        versions=dict(mmgan_compress=__version__, **versions),
        threads=threads,
        size=size,
        load=round(os.getloadavg()[0], 2) if hasattr(os, 'getloadavg') else None,
    )


def check_same(one: dict, other: dict) -> None:
    """Refuse to compare runs that were made under other conditions.

    Args:
        one (dict): Of :func:`machine_facts`.
        other (dict): Likewise.

    Raises:
        ValueError: With what differs.
    """
    wrong = [f'{k}: {one.get(k)} and {other.get(k)}' for k in SAME if one.get(k) != other.get(k)]
    if wrong:
        raise ValueError(
            f'these runs cannot be compared, they differ in {"; ".join(wrong)}. Measure again, '
            'here and with the same --threads and --size'
        )


def _cpu() -> str:
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor()
