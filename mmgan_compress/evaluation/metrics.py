"""Metrics of translation models, each with the protocol it was taken by.

A figure of a GAN means nothing without its protocol. After ``evaluate`` a
metric's ``protocol`` maps the name of each figure to one line that says what
was compared with what; reports print it under the table.
"""

import re
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.device import get_device
from mmengine.evaluator import BaseMetric
from torch import Tensor
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from ..registry import METRICS
from .distances import KID_SUBSETS, frechet_distance, kernel_distance
from .networks import shared_lpips, shared_network
from .pixels import to_8_bit, to_rgb
from .reference import Reference

# what protocols say of images of so many channels
KINDS = {1: '; grey, repeated', 3: '', 4: '; RGBA, laid on white'}
KID_SUBSET_SIZE = 50  # a test split may hold no more than 120 images
STYLE_PIXELS, STYLE_LPIPS = 'style distance', 'style LPIPS'
_TWO_STYLES = 'two styles of each input, always the same'
Figures = tuple[dict[str, float], dict[str, str]]


class TranslationMetric(BaseMetric):
    """Base: takes ``fake_<domain>`` out of samples, each image once.

    An unpaired data set repeats its shorter side until the longer one is
    through, and a distributed sampler pads its last round. Images are told
    apart by the path of their source; only the first of each counts.

    Args:
        domain (str): Domain of the generated images. Also the prefix of the
            figures' names, as in ``zebra/FID``.
    """

    def __init__(self, domain: str):
        super().__init__(prefix=domain)
        self.domain = domain
        self.protocol: dict[str, str] = {}
        self._seen: set[str] = set()
        self._how = ''  # how the images were made, for the protocol

    def measure(self, fake: Tensor, sample: dict) -> Tensor:
        """Return what is kept of one image, a 1-d tensor.

        Args:
            fake (Tensor): (3, H, W), RGB, float, whole numbers 0..255, on
                the accelerator if there is one (see `to_rgb`).
            sample (dict): The data sample of the image.
        """
        raise NotImplementedError

    def summarise(self, measured: Tensor) -> Figures:
        """Return figures by name, and their protocols.

        Args:
            measured (Tensor): (n, ...), a row per distinct image.
        """
        raise NotImplementedError

    @torch.no_grad()
    def process(self, data_batch: Any, data_samples: Sequence[dict]):
        """Measure the images of a batch that were not seen before.

        Args:
            data_batch (Any): Unused.
            data_samples (Sequence[dict]): With ``fake_<domain>`` (C, H, W) in
                0..255, grey, RGB or RGBA, ``img_<source>_path`` and, for the
                protocol, ``generator_mode`` ('eval' or 'train').

        Raises:
            KeyError: If a sample lacks one of these.
        """
        if not self.results:
            self._seen.clear()
        for sample in data_samples:
            path = sample[f'{self._source_key(sample)}_path']
            measured = None
            if path not in self._seen:
                self._seen.add(path)
                fake = self._image(sample, f'fake_{self.domain}')
                self._how = (
                    f'{fake.shape[2]}x{fake.shape[1]}; generator mode: '
                    f'{sample.get("generator_mode", "unstated")}; 8 bit'
                    f'{KINDS[len(sample[f"fake_{self.domain}"])]}'
                )
                measured = self.measure(fake, sample).cpu()
            # Repeats keep their place: mmengine interleaves what the ranks
            # hold and would cut all of them to the shortest list.
            self.results.append((path, measured))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute the figures from the gathered results.

        Args:
            results (list): (path, measured or None) per sample.

        Returns:
            dict[str, float]: Value by name, without the prefix.
        """
        distinct: dict[str, Tensor] = {}
        for path, measured in results:
            if measured is not None:
                distinct.setdefault(path, measured)
        figures, protocols = self.summarise(torch.stack(list(distinct.values())))
        self.protocol = {f'{self.prefix}/{name}': text for name, text in protocols.items()}
        return figures

    def _about(self, count: int, what: str) -> str:
        return f'{count} {what} ({self._how})'

    def _image(self, sample: dict, key: str) -> Tensor:
        if key not in sample:
            raise KeyError(f'no {key!r} among {sorted(sample)}; check the domain of the metric')
        image = sample[key]
        if not image.float().sum().isfinite():
            raise ValueError(f'{key} has values that are not finite: the generator has diverged')
        return to_rgb(to_8_bit(image.to(get_device())))

    def _source_key(self, sample: dict) -> str:
        own = f'img_{self.domain}_path'
        keys = [key for key in sample if re.fullmatch(r'img_.*_path', key) and key != own]
        if len(keys) != 1:
            raise KeyError(
                f'expected the path of one source image in each sample to tell repeats of '
                f'{self.domain!r} apart, got {keys} among {sorted(sample)}; give PackInputs '
                "meta_keys=['img_<source>_path']"
            )
        return keys[0].removesuffix('_path')


@METRICS.register_module()
class FrechetDistance(TranslationMetric):
    """FID and KID of generated images against real ones of their domain.

    By torchmetrics, on features that are computed once for both. With
    another network than FID's Inception the figures are called ``FD-...``
    and ``KD-...``, never FID or KID.

    Args:
        domain (str): Domain of the generated images.
        reference (dict): The real images: arguments of `Reference`.
        network (str | nn.Module): ``'inception'``, ``'vgg16'``, or a module
            as `networks.shared_network` returns.

    Raises:
        FileNotFoundError: At once, if the network's weights or the real
            images are not there; names the command that prepares them.

    Example:
        >>> metric = dict(
        ...     type='mmgan_compress.FrechetDistance',
        ...     domain='zebra',
        ...     reference=dict(
        ...         data_root='data/horse2zebra', side='B',
        ...         split='train+test'))
    """

    def __init__(self, domain: str, reference: dict, network: str | nn.Module = 'inception'):
        super().__init__(domain)
        self.reference = Reference(**reference)
        self.network = network if isinstance(network, nn.Module) else shared_network(network)

    @property
    def names(self) -> list[str]:
        """What can be chosen by."""
        return self.names_of(self.domain, network=self.network.name)

    @staticmethod
    def names_of(domain: str = '', network: Any = 'inception', **others: Any) -> list[str]:
        """Return what can be chosen by, from the arguments alone."""
        titles = ('FID', 'KID')
        if network != 'inception':
            titles = (f'FD-{str(network).upper()}', f'KD-{str(network).upper()}')
        return [f'{domain}/{title}' for title in titles]

    def measure(self, fake: Tensor, sample: dict) -> Tensor:
        """Return the features of one image."""
        return self.network.to(fake.device)(fake[None])[0]

    def summarise(self, measured: Tensor) -> Figures:
        """Return FID, KID and its deviation over subsets."""
        real = self.reference.features(self.network)
        size = min(KID_SUBSET_SIZE, len(real), len(measured))
        mean, deviation = kernel_distance(real, measured, size)
        fid, kid = (name.partition('/')[2] for name in self.names)
        figures = {fid: frechet_distance(real, measured), kid: mean}
        if size < min(len(real), len(measured)):  # else all subsets are one
            figures[f'{kid}_std'] = deviation
        return figures, {
            fid: f'{self._about(len(measured), "generated")} against '
            f'{self.reference.describe(len(real))}; '
            f'{self.network.protocol}',
            kid: f'as {self.prefix}/{fid}; unbiased, mean (± deviation) over '
            f'{KID_SUBSETS} subsets of {size}',
        }


def _psnr(fake: Tensor, real: Tensor) -> Tensor:
    return peak_signal_noise_ratio(fake, real, data_range=255.0)


class _Compared(TranslationMetric):
    """Base of figures of two images each, the last of which is LPIPS.

    A class names its ``figures``, each with what is said of it, what is ``counted``
    and, as ``beside``, how the keys of the other images begin.
    """

    figures: dict[str, str]
    counted: str
    beside: str

    def __init__(self, domain: str, lpips: bool = True):
        super().__init__(domain)
        self.lpips = shared_lpips() if lpips else None

    @property
    def names(self) -> list[str]:
        """What can be chosen by."""
        return self.names_of(self.domain, self.lpips is not None)

    @classmethod
    def names_of(cls, domain: str = '', lpips: bool = True, **others: Any) -> list[str]:
        """Return what can be chosen by, from the arguments alone."""
        figures = list(cls.figures)
        return [f'{domain}/{figure}' for figure in (figures if lpips else figures[:-1])]

    def compared(self, fake: Tensor, other: Tensor) -> list[Tensor]:
        """Return all figures but LPIPS, of two images (3, H, W) in 0..255."""
        raise NotImplementedError

    def measure(self, fake: Tensor, sample: dict) -> Tensor:
        """Return the figures of one image, LPIPS if it was asked for."""
        other = self._image(sample, f'{self.beside}_{self.domain}')
        values = self.compared(fake, other)
        if self.lpips is not None:
            pair = (image[None] / 127.5 - 1 for image in (fake, other))
            values.append(self.lpips.to(fake.device)(*pair).flatten()[0])
        return torch.stack(values)

    def summarise(self, measured: Tensor) -> Figures:
        """Return the means over images."""
        about = f'mean of {self._about(len(measured), self.counted)}'
        means = dict(zip(self.figures, measured.double().mean(dim=0).tolist()))
        return means, {name: f'{self.figures[name]}; {about}' for name in means}


@METRICS.register_module()
class PairedQuality(_Compared):
    """PSNR, SSIM and LPIPS against the real target, by torchmetrics.

    Args:
        domain (str): Domain of the generated images; samples hold the real
            ones as ``img_<domain>``.
        lpips (bool): Whether to take LPIPS, which needs VGG-16.

    Raises:
        FileNotFoundError: At once, if the weights are not prepared; names
            the command.

    Example:
        >>> metric = dict(type='mmgan_compress.PairedQuality', domain='photo')
    """

    figures = {
        'PSNR': 'dB, RGB, range 255',
        'SSIM': 'RGB, range 255, Gaussian 11x11, sigma 1.5',
        'LPIPS': 'VGG-16, version 0.1',
    }
    counted, beside = 'pairs', 'img'

    def compared(self, fake: Tensor, other: Tensor) -> list[Tensor]:
        """Return PSNR and SSIM."""
        fake, other = fake[None], other[None]
        ssim = structural_similarity_index_measure(fake, other, data_range=255.0)
        return [_psnr(fake, other), ssim]


def luma(image: Tensor, border: int) -> Tensor:
    """Return Y of ITU-R 601 (16..235) of (3, H, W) in 0..255, without its
    outermost pixels: (1, 1, H - 2 border, W - 2 border), float64.
    """
    weights = image.new_tensor((65.481, 128.553, 24.966), dtype=torch.float64)
    y = (image.double() * weights[:, None, None]).sum(0) / 255 + 16
    return y[None, None, border : y.shape[0] - border, border : y.shape[1] - border]


def windowed_ssim(fake: Tensor, real: Tensor, window: Tensor, share: float = 1.0) -> Tensor:
    """Return the SSIM of (1, 1, H, W) in 0..255, where whole windows fit.

    Args:
        fake (Tensor): Float64.
        real (Tensor): Likewise.
        window (Tensor): Weights of its pixels, (h, w), with the sum 1.
        share (float): Factor of the covariances.
    """

    def mean(x):
        return F.conv2d(x, window.to(x)[None, None])

    mean_f, mean_r = mean(fake), mean(real)
    own = share * (mean(fake**2) - mean_f**2 + mean(real**2) - mean_r**2)
    both = share * (mean(fake * real) - mean_f * mean_r)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    lightness = (2 * mean_f * mean_r + c1) / (mean_f**2 + mean_r**2 + c1)
    return (lightness * (2 * both + c2) / (own + c2)).mean()


_LINE = torch.exp(-((torch.arange(11, dtype=torch.float64) - 5) ** 2) / (2 * 1.5**2))
_LINE /= _LINE.sum()
_GAUSSIAN, _UNIFORM = _LINE[:, None] * _LINE, torch.full((7, 7), 1 / 49)


@METRICS.register_module()
class SuperResolutionQuality(TranslationMetric):
    """PSNR and SSIM of the luma against the real image.

    SSIM is taken in two ways that papers do not tell apart: ``SSIM-Y``
    weights an 11x11 window by a Gaussian, as mmagic's; ``SSIM-Y7`` has a
    uniform 7x7 window, as GCC's. ``PSNR-Y over bicubic`` is by how much it is
    better than the input enlarged by Pillow's bicubic.

    Args:
        domain (str): Domain of the generated images; samples hold the real
            ones as ``img_<domain>``, and the small ones.
        border (int): Pixels that are cut off at each side.

    Example:
        >>> metric = dict(
        ...     type='mmgan_compress.SuperResolutionQuality', domain='high')
    """

    def __init__(self, domain: str, border: int = 4):
        super().__init__(domain)
        self.border = border

    @property
    def names(self) -> list[str]:
        """What can be chosen by."""
        return self.names_of(self.domain)

    @staticmethod
    def names_of(domain: str = '', **others: Any) -> list[str]:
        """Return what can be chosen by, from the arguments alone."""
        figures = ('PSNR-Y', 'SSIM-Y', 'SSIM-Y7', 'PSNR-Y over bicubic')
        return [f'{domain}/{figure}' for figure in figures]

    def measure(self, fake: Tensor, sample: dict) -> Tensor:
        """Return PSNR, both SSIM, and PSNR above bicubic's of one image."""
        real = self._image(sample, f'img_{self.domain}')
        small = self._image(sample, self._source_key(sample))[None]
        # with antialiasing, its cubic is Pillow's
        plain = F.interpolate(small, real.shape[1:], mode='bicubic', antialias=True)[0]
        figures = self.figures(fake, real)
        gain = figures[0] - _psnr(*self._lumas(to_8_bit(plain), real))
        return torch.cat([figures, gain[None]])

    def figures(self, fake: Tensor, real: Tensor) -> Tensor:
        """Return the figures of (3, H, W) in 0..255, which need not be whole
        numbers.
        """
        pair = self._lumas(fake, real)
        return torch.stack(
            [
                _psnr(*pair),
                windowed_ssim(*pair, _GAUSSIAN),
                windowed_ssim(*pair, _UNIFORM, 49 / 48),  # of a sample
            ]
        )

    def _lumas(self, fake: Tensor, real: Tensor) -> list[Tensor]:
        return [luma(image, self.border) for image in (fake, real)]

    def summarise(self, measured: Tensor) -> Figures:
        """Return the means over images."""
        about = (
            f'Y of ITU-R 601, {self.border} pixels cut at each side, range 255; '
            f'mean of {self._about(len(measured), "pairs")}'
        )
        protocols = {
            'PSNR-Y': f'dB, {about}',
            'SSIM-Y': f'Gaussian 11x11, sigma 1.5, {about}',
            'SSIM-Y7': f'uniform 7x7, {about}',
            'PSNR-Y over bicubic': f'dB above the input enlarged by bicubic, {about}',
        }
        return dict(zip(protocols, measured.double().mean(0).tolist())), protocols


@METRICS.register_module()
class LabelAgreement(TranslationMetric):
    """Whether pictures show the classes of their label maps, by colours alone.

    Each pixel of a picture is taken for the class whose mean colour, over the
    real pictures of the split, is the nearest. The IoU with the label map is
    averaged over the classes that there are. It stands in for the mIoU of a
    segmentation network where colours tell classes apart.

    Args:
        domain (str): Domain of the generated images; samples hold the real
            ones as ``img_<domain>``, and the label maps.
        pixels (int): At most so many of each image count, evenly spaced.

    Example:
        >>> metric = dict(type='mmgan_compress.LabelAgreement', domain='emoji')
    """

    def __init__(self, domain: str, pixels: int = 4096):
        super().__init__(domain)
        self.pixels = pixels

    @property
    def names(self) -> list[str]:
        """What can be chosen by."""
        return self.names_of(self.domain)

    @staticmethod
    def names_of(domain: str = '', **others: Any) -> list[str]:
        """Return what can be chosen by, from the arguments alone."""
        return [f'{domain}/mIoU-colours']

    def measure(self, fake: Tensor, sample: dict) -> Tensor:
        """Return (7, pixels): generated and real colours, and classes."""
        real = self._image(sample, f'img_{self.domain}')
        labels = sample[self._source_key(sample)][:1].to(fake)
        every = -(-fake.shape[1:].numel() // self.pixels)
        return torch.cat([fake, real, labels]).flatten(1)[:, ::every]

    def summarise(self, measured: Tensor) -> Figures:
        """Return the mean IoU, of the real pictures too, times 100."""
        fake, real, labels = measured.transpose(0, 1).flatten(1).split([3, 3, 1])
        classes, labels = labels[0].unique(return_inverse=True)
        hot = F.one_hot(labels, len(classes)).float()
        colours = real @ hot / hot.sum(0)
        figures = {}
        for name, image in (('mIoU-colours', fake), ('mIoU-colours of real', real)):
            found = F.one_hot(torch.cdist(image.T, colours.T).argmin(1), len(classes)).float()
            both = (hot * found).sum(0)
            figures[name] = 100 * (both / (hot.sum(0) + found.sum(0) - both)).mean().item()
        about = (
            f'IoU with the label map, times 100, mean over {len(classes)} classes; classes by the '
            f'nearest mean colour; {self._about(len(measured), "pictures")}'
        )
        return figures, dict.fromkeys(figures, about)


@METRICS.register_module()
class StyleDiversity(_Compared):
    """How far two pictures of one input and two styles are apart.

    0 is mode collapse: the style changes nothing. It says nothing about
    quality, as noise is diverse, too: read it beside FID. The data set hands
    two styles where its ``noise_size`` is twice that of the generator.

    Args:
        domain (str): Domain of the generated images; samples hold those of
            the second style as ``restyled_<domain>``.
        lpips (bool): Whether to take LPIPS, which needs VGG-16.

    Raises:
        FileNotFoundError: At once, if the weights are not prepared; names
            the command.

    Example:
        >>> metric = dict(type='mmgan_compress.StyleDiversity', domain='shoes')
    """

    figures = {
        STYLE_PIXELS: f'grey levels of 255, mean difference of all values; {_TWO_STYLES}',
        STYLE_LPIPS: f'VGG-16, version 0.1; {_TWO_STYLES}',
    }
    counted, beside = 'inputs', 'restyled'

    def compared(self, fake: Tensor, other: Tensor) -> list[Tensor]:
        """Return the difference of the values."""
        return [(fake - other).abs().mean()]


class TeacherSimilarity(TranslationMetric):
    """How near the student's pictures are to its teacher's.

    Args:
        domain (str): Domain of the generated images; samples hold those of
            the teacher as ``teacher_<domain>``.
        teacher (str): Name of the teacher, for the figures' names.
    """

    def __init__(self, domain: str, teacher: str):
        super().__init__(domain)
        self.teacher = teacher

    def measure(self, fake: Tensor, sample: dict) -> Tensor:
        """Return PSNR and, by channel, the distance of the mean colours."""
        target = self._image(sample, f'teacher_{self.domain}')
        psnr = _psnr(fake, target)
        colour = (fake - target).mean((1, 2)).abs()
        return torch.cat([psnr[None], colour])

    def summarise(self, measured: Tensor) -> Figures:
        """Return the means over images, of the channel that is farthest."""
        about = f'mean of {self._about(len(measured), "pictures")} of student and teacher'
        psnr, *colour = measured.double().mean(0).tolist()
        names = f'PSNR to {self.teacher}', f'colour shift to {self.teacher}'
        return dict(zip(names, (psnr, max(colour)))), dict(
            zip(
                names,
                (
                    f'dB, RGB, range 255; {about}',
                    'grey levels of 255 between the mean colours of a picture, '
                    f'channel with the largest; {about}',
                ),
            )
        )
