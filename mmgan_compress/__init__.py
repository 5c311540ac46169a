"""mmgan_compress: small and fast image-to-image GANs for mmagic."""
import importlib

__version__ = '0.1.0'
# Public functions and where they live. They load on first use, because
# `import mmgan_compress` must not import torch or mmagic.
_API = {'load_student': 'models.student', 'save_student': 'models.student',
        'Translator': 'inference.translator',
        'translate': 'inference.translator'}


def __getattr__(name: str):
    if name in _API:
        module = importlib.import_module(f'mmgan_compress.{_API[name]}')
        return getattr(module, name)
    raise AttributeError(f"module 'mmgan_compress' has no attribute {name!r}")


def __dir__():
    return [*globals(), *_API]
