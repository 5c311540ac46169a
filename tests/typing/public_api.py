"""Code of a user: mypy checks the types of the public API; nobody runs it.

``assert_type`` fails on any other type, also on ``Any``. ``type: ignore``
marks what has to be refused: mypy fails if it is not (warn_unused_ignores).
"""

from typing import Any, assert_type

import torch
import torch.nn as nn
from PIL import Image
from torch import Tensor

from mmgan_compress import (
    Student,
    Translator,
    export,
    load_student,
    prune,
    quantize,
    student_info,
    translate,
)
from mmgan_compress.losses import DistillBatch, DistillLoss
from mmgan_compress.pruning.torch_pruner import Pruned
from mmgan_compress.registry import MODELS


def students() -> None:
    """Open a student file."""
    assert_type(load_student('student.pth'), nn.Module)
    assert_type(load_student('student.pth', domain='zebra'), nn.Module)
    assert_type(student_info('student.pth'), dict[str, Any])
    student = Student.load('student.pth')
    assert_type(student, Student)
    assert_type(student.generators, dict[str, nn.Module])
    load_student(3)  # type: ignore[arg-type]
    load_student('student.pth', size=3)  # type: ignore[call-arg]


def images() -> None:
    """Translate."""
    run = Translator('student.pth', threads=2)
    assert_type(run('horses/'), list[Image.Image] | list[str])
    assert_type(translate('student.pth', 'horses/'), list[Image.Image] | list[str])
    Translator('student.pth', threads='2')  # type: ignore[arg-type]


def compression() -> None:
    """Prune, export, quantize."""
    small = prune(load_student('student.pth'), torch.zeros(1, 3, 256, 256), dict(macs=0.25))
    assert_type(small, Pruned)
    assert_type(small.network, nn.Module)
    assert_type(export('student.pth', 'out/'), dict[Any, Any])
    assert_type(quantize('student.pth', 'out/', dict(type='ORTStatic')), dict[Any, Any])
    prune('student.pth', torch.zeros(1, 3, 256, 256), {})  # type: ignore[arg-type]
    export('student.pth')  # type: ignore[call-arg]
    quantize('student.pth', 'out/', 'ORTStatic')  # type: ignore[arg-type]


@MODELS.register_module()
class MeanLoss(DistillLoss):
    """The distance of mean colours."""

    name = 'mean'

    def forward(self, batch: DistillBatch, teacher: str) -> Tensor:
        """Compare with one teacher."""
        assert_type(batch.image, Tensor)
        assert_type(batch.targets, dict[str, Tensor])
        batch.pictures  # type: ignore[attr-defined]  # noqa: B018
        return (batch.image.mean() - batch.targets[teacher].mean()).abs()


MeanLoss(weight='a')  # type: ignore[arg-type]
