"""torch's base classes of convolutions, norms and dropouts, by public names.

torch has no public name for them, and lists of its leaves (``nn.Conv2d``,
...) would miss the lazy and the quantization-aware ones. Only this file names the private classes.
"""

from torch.nn.modules.batchnorm import _BatchNorm as BatchNormBase
from torch.nn.modules.batchnorm import _NormBase as NormBase
from torch.nn.modules.conv import _ConvNd as ConvBase
from torch.nn.modules.conv import _ConvTransposeNd as ConvTransposeBase
from torch.nn.modules.dropout import _DropoutNd as DropoutBase
from torch.nn.modules.instancenorm import _InstanceNorm as InstanceNormBase

__all__ = [
    'BatchNormBase',
    'ConvBase',
    'ConvTransposeBase',
    'DropoutBase',
    'InstanceNormBase',
    'NormBase',
]
