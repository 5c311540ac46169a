"""mmgan_compress: small and fast image-to-image GANs for mmagic.

    from mmgan_compress import Translator, export, load_student, prune

The names below load on first use: ``import mmgan_compress`` imports neither
torch nor mmagic.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors and type checkers
    from .deploy.export import export_student as export
    from .inference.sampler import Sampler
    from .inference.translator import Translator, translate
    from .models.student import Student, load_student, read_test_config, save_student, student_info
    from .pruning.torch_pruner import prune
    from .quantization.workflow import quantize_student as quantize

__version__ = '0.1.0'
__all__ = [
    'Sampler',
    'Student',
    'Translator',
    'export',
    'load_student',
    'prune',
    'quantize',
    'read_test_config',
    'save_student',
    'student_info',
    'translate',
]
_PLACES = {
    'Sampler': 'inference.sampler:Sampler',
    'Student': 'models.student:Student',
    'Translator': 'inference.translator:Translator',
    'export': 'deploy.export:export_student',
    'load_student': 'models.student:load_student',
    'prune': 'pruning.torch_pruner:prune',
    'quantize': 'quantization.workflow:quantize_student',
    'read_test_config': 'models.student:read_test_config',
    'save_student': 'models.student:save_student',
    'student_info': 'models.student:student_info',
    'translate': 'inference.translator:translate',
}


def __getattr__(name: str):
    if name in _PLACES:
        module, _, attribute = _PLACES[name].partition(':')
        found = importlib.import_module(f'mmgan_compress.{module}')
        return getattr(found, attribute)
    raise AttributeError(f"module 'mmgan_compress' has no attribute {name!r}")


def __dir__():
    return [*globals(), *__all__]
