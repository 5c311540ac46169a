"""Data sets of translation tasks, in the layouts that mmagic reads.

Every draw of a training image is a function of the seed and of its position
in the run, augmentation included. So a run that is resumed at iteration k
starts its loader at position k and sees what it would have seen; nothing is
loaded to be thrown away, whatever the number of workers.
"""

# before mmagic: it makes a torchvision of another build usable
from ..registry import DATA_SAMPLERS, DATASETS

# isort: split
import os
from collections.abc import Iterator, Sequence

import numpy as np
from mmagic.structures import DataSample
from mmengine.dataset import Compose
from mmengine.dist import get_dist_info
from torch.utils.data import Dataset, Sampler

from ..core.image_modes import check_image_channels
from ..core.inputs import Noise
from ..core.messages import check_choice
from ..core.seeding import seeded
from . import images


def load_step(key: str, channels: int = 3) -> dict:
    """Return the transform that loads one image."""
    return dict(type='mmgan_compress.ReadImage', key=key, channels=channels)


class TranslationImages(Dataset):
    """Base of both layouts.

    Args:
        data_root (str): Folder of the data set.
        domains (Sequence[str]): Names of the domains A and B.
        split (str): ``'train'`` (shuffled, augmented), ``'val'`` or
            ``'test'``. Without a val folder, evenly spaced training images
            stand for it (see ``hold_out``): never the test images.
        size (int): Side of the square images in pixels.
        load_size (int | None): Side before the random crop in training.
        flip (bool): Mirror training images at random.
        max_images (int | None): Use at most so many, evenly spaced. 100 by
            default for a val split whose images are in training too.
        pipeline (list | None): Transforms that replace the standard ones.
        teacher_images (dict[str, str] | None): Folder by generated domain.
            For each training image of the other domain (for each pair, in
            paired sets) it holds a teacher's image of the same name but for
            the extension: ``mmgan-compress images`` makes it. In
            training these are ``img_teacher_<domain>``, cropped and flipped
            with their sources. Val and test leave them out.
        hold_out (int): Without a val folder, so many training images (of
            each side) are the val split and not in the train split; the
            data sets of both need the same number. With 0 they are in both.
            A val folder wins: nothing is held out then.
        val_folder (bool): False where a val folder is the test split, as in
            Cityscapes, and so is not taken for val.
        channels (dict[str, int] | None): Channels of the images by domain:
            1 (grey), 3 (RGB) or 4 (RGBA); 3 of both if None. Where a recipe
            is read, they follow from its generator.
        extra_images (dict[str, str] | None): Of :class:`UnpairedImages`:
            folder by domain of images that the train split has beside its
            own: unlabelled ones to distil on (UGC, ICCV 2023), say.
        noise_size (int | None): Numbers of ``noise`` beside the images, such
            as styles; none if None. In training they depend on the seed and
            the position, in val and test on the image's place alone. Twice
            as many as a style has, in val and test, are a second style (see
            ``StyleDiversity``).
        shuffle_colours (Sequence[str]): Domains whose training images get
            their red, green and blue in a random order. A finished teacher
            translates these, too, and the student sees more colours.

    Raises:
        FileNotFoundError: If a folder is missing or empty, or images of a
            teacher are missing.
        ValueError: If an image is corrupt, tiny, or no pair,
            ``teacher_images`` or ``shuffle_colours`` name an unknown domain,
            or colours are shuffled of which there are ``teacher_images``, or ``hold_out`` is
            negative or more than the half of the images. If there are
            ``extra_images`` beside ``teacher_images``, or of pairs.
    """

    METAINFO: dict = {}
    halved = False  # whether a file holds A and B
    aspect_ratio = 1.0  # width of the images to their height
    noise_seed = 0  # of the noise in val and test
    lacks: tuple[str, ...] = ()  # options that make no sense for its images

    def __init__(
        self,
        data_root: str,
        domains: Sequence[str],
        split: str = 'train',
        size: int = 256,
        load_size: int | None = None,
        flip: bool = True,
        max_images: int | None = None,
        pipeline: list | None = None,
        teacher_images: dict[str, str] | None = None,
        hold_out: int = 0,
        val_folder: bool = True,
        channels: dict[str, int] | None = None,
        extra_images: dict[str, str] | None = None,
        noise_size: int | None = None,
        shuffle_colours: Sequence[str] = (),
    ):
        check_choice('split', split, ('train', 'val', 'test'))
        optional = dict(
            teacher_images=teacher_images,
            extra_images=extra_images,
            shuffle_colours=shuffle_colours,
        )
        for option in self.lacks:
            if optional[option]:
                raise ValueError(f'{type(self).__name__} has no {option}: leave it out')
        self.data_root, self.split, self.size = data_root, split, size
        self.domains = tuple(domains)
        self.channels = {domain: (channels or {}).get(domain, 3) for domain in self.domains}
        check_image_channels(*self.channels.values())
        self.load_size = load_size or size
        if self.load_size < size:
            raise ValueError(f'load_size {load_size} is less than size {size}')
        self.flip, self.max_images = flip, max_images
        self.hold_out, self.val_folder = hold_out, val_folder
        self.extra_images = extra_images or {}
        self.noise = None if noise_size is None else Noise(noise_size)
        self.shuffle_colours = list(shuffle_colours) if split == 'train' else []
        for domain in self.shuffle_colours:
            check_choice('domain of shuffle_colours', domain, self.domains)
            if self.channels[domain] < 3:
                raise ValueError(f'{domain!r} of shuffle_colours has no colours: leave it out')
            if teacher_images:
                raise ValueError(
                    'teacher_images are of the colours as they are: leave shuffle_colours out'
                )
        if extra_images and teacher_images:
            raise ValueError(
                'teacher_images are of the images in a train folder: copy extra_images into it'
            )
        self.seed = 0
        self._order: tuple = (None, None)
        self.load_files()
        self.teacher_files = {
            domain: self._find_teacher_images(domain, folder)
            for domain, folder in (teacher_images or {}).items()
            if split == 'train'
        }
        self.pipeline = Compose(pipeline or self.standard_pipeline())

    @property
    def metainfo(self) -> dict:
        """Plain facts, kept in checkpoints; resuming compares them."""
        held = dict(hold_out=self.hold_out) if self.hold_out else {}
        return dict(data_root=self.data_root, split=self.split, domains=list(self.domains), **held)

    def files_of(self, side: str) -> list[str]:
        """Return the checked image files of one side of the split."""
        return images.split_images(
            self.data_root,
            self.split,
            side,
            self.hold_out,
            self.val_folder,
            self.max_images,
            max(self._channels_at(side)),
            self.halved,
        )

    def _channels_at(self, side: str) -> list[int]:
        """Return the channels of a side's images; of both sides for a pair's
        file.
        """
        counts = list(self.channels.values())
        return [counts['AB'.index(side)]] if side else counts

    def _source_side(self, domain: str) -> int:
        if domain not in self.domains:  # of teacher_images, extra_images or a metric
            raise ValueError(f'the data set has no {domain!r}; known are {list(self.domains)}')
        return 1 - self.domains.index(domain)

    def _find_teacher_images(self, domain: str, folder: str) -> dict[str, str]:
        """Return a teacher's image by the path of its source."""
        side = self._source_side(domain)
        letter, files = 'AB'[side], self.files_by_side()[side]
        root = images.side_folder(self.data_root, 'train', '' if self.halved else letter)
        option = f' --paired-side {letter}' if self.halved else ''
        command = f'mmgan-compress images TEACHER {root} --out {folder}{option}'
        return images.match_teacher_images(root, files, folder, command, self.channels[domain])

    def load_files(self):
        """Fill ``self`` with the files of the split."""
        raise NotImplementedError

    def files_by_side(self) -> tuple[list[str], list[str]]:
        """Return the files of A and those of B."""
        raise NotImplementedError

    def sources(self, domain: str) -> int:
        """Return how many images become images of a domain."""
        return len(self.files_by_side()[self._source_side(domain)])

    def paths(self, index: int) -> dict:
        """Return the entry of the pipeline's input for one draw."""
        raise NotImplementedError

    def loading(self) -> list[dict]:
        """Return the loading transforms: of a file for each domain."""
        return [load_step(f'img_{d}', self.channels[d]) for d in self.domains]

    def packed(self, steps: list[dict], keys: list[str]) -> list[dict]:
        """Return mmagic's transforms that end with the tensors of images, and
        of noise if there is some.
        """
        paths = [f'{key}_path' for key in keys]
        if self.noise:
            seed = None if self.split == 'train' else self.noise_seed
            own = dict(type='mmgan_compress.AddNoise', size=self.noise.size, seed=seed)
            steps, keys = [*steps, own], [*keys, 'noise']
        pack = dict(type='PackInputs', keys=keys, data_keys=[], meta_keys=paths)
        return [dict(step, _scope_='mmagic') for step in [*steps, pack]]

    @property
    def sized(self) -> list[str]:
        """What :meth:`loading` has brought to :meth:`loaded_size`."""
        return []

    def width_of(self, height: int) -> int:
        """Return the width of an image of a height."""
        return round(self.aspect_ratio * height)

    def loaded_size(self) -> tuple[int, int]:
        """Return width and height before a crop."""
        height = self.load_size if self.split == 'train' else self.size
        return self.width_of(height), height

    def standard_pipeline(self) -> list[dict]:
        """Return mmagic's transforms for the split."""
        groups = {d: [f'img_{d}'] for d in self.domains}
        for domain in self.teacher_files:  # moves with its source
            groups[self.domains[self._source_side(domain)]].append(f'img_teacher_{domain}')
        keys = sum(groups.values(), [])
        steps = self.loading() + [
            load_step(f'img_teacher_{d}', self.channels[d]) for d in self.teacher_files
        ]
        # Pillow's smooths where it shrinks, as in the papers; OpenCV's does
        # not
        resize = dict(interpolation='bicubic', backend='pillow')
        smooth = [key for key in keys if key not in self.sized]
        scale = self.loaded_size()
        steps.append(dict(type='Resize', keys=smooth, scale=scale, **resize))
        moved = [keys] if self.aligned else groups.values()
        for group in moved if self.split == 'train' else []:
            if scale[1] > self.size:  # one place for all keys, unlike `Crop`
                crop = self.size, self.width_of(self.size)
                steps.append(dict(type='FixedCrop', keys=group, crop_size=crop))
            if self.flip:
                steps.append(dict(type='Flip', keys=group, direction='horizontal'))
        steps += [
            dict(type='mmgan_compress.ShuffleColours', key=f'img_{domain}')
            for domain in self.shuffle_colours
        ]
        return self.packed(steps, keys)

    def _shuffled(self, position: int) -> int:
        epoch, offset = divmod(position, len(self))
        if self._order[0] != epoch:
            rng = np.random.default_rng([self.seed, epoch])
            self._order = (epoch, rng.permutation(len(self)))
        return int(self._order[1][offset])

    def __getitem__(self, position: int) -> dict:
        if self.split != 'train':
            return self._load(position)
        with seeded(self.seed, position):
            return self._load(self._shuffled(position))

    def _load(self, index: int) -> dict:
        paths = self.paths(index)
        for domain, files in self.teacher_files.items():
            source = paths[f'img_{self.domains[self._source_side(domain)]}_path']
            paths[f'img_teacher_{domain}_path'] = files[source]
        try:
            return self.pipeline(dict(paths, sample_idx=index))
        except Exception as error:
            files = ', '.join(dict.fromkeys(paths.values()))
            raise ValueError(f'could not load {files}: {error}') from error


@DATASETS.register_module()
class UnpairedImages(TranslationImages):
    """``trainA/ trainB/ [valA/ valB/] testA/ testB/``.

    Or ``train/A/ train/B/`` and so on. An epoch has as many draws as the
    longer side has images, or those of ``epoch_domain``; in training B is
    drawn at random beside A.

    Args:
        args: Of :class:`TranslationImages`.
        side_by_side (bool): Take ``train/ [val/] test/`` of pairs, too, where
            the data set has them, and draw their halves apart.
        kwargs: Of :class:`TranslationImages`.
    """

    aligned = False
    epoch_domain: str | None = None  # the train loop sets the method's

    def __init__(self, *args, side_by_side: bool = False, **kwargs):
        self.side_by_side = side_by_side
        super().__init__(*args, **kwargs)

    def load_files(self):
        self.halved = self.side_by_side and images.has_halves(self.data_root, self.split)
        self.files = [self.files_of('' if self.halved else side) for side in 'AB']
        if self.halved:
            images.check_halves(self.files[0])
        for domain, folder in self.extra_images.items():
            side = 1 - self._source_side(domain)
            if self.split == 'train':
                files = images.some_images(folder)
                images.check_images(files, channels=self.channels[domain])
                self.files[side] += files

    def files_by_side(self):
        return tuple(self.files)

    def loading(self):
        steps = super().loading()
        if self.halved:
            steps = [dict(step, half=side) for step, side in zip(steps, 'AB')]
        return steps

    def __len__(self) -> int:
        if self.epoch_domain:
            return len(self.files[self.domains.index(self.epoch_domain)])
        return max(map(len, self.files))

    def paths(self, index):
        a, b = self.files
        at_b = np.random.randint(len(b)) if self.split == 'train' else index
        names = a[index % len(a)], b[at_b % len(b)]
        return {f'img_{d}_path': n for d, n in zip(self.domains, names)}


@DATASETS.register_module()
class PairedImages(TranslationImages):
    """``train/ [val/] test/`` of images that hold A and B side by side.

    Or A and B in two folders, where files of one name but for the extension
    are a pair: ``train/A/ train/B/`` and so on, or ``trainA/ trainB/``.

    Args:
        args: Of :class:`TranslationImages`.
        side_by_side (bool): State that the images are pairs side by side,
            whatever their shape. Else those that look like a single image,
            A above B or a triptych are refused.
        kwargs: Of :class:`TranslationImages`.

    Raises:
        ValueError: If an image does not look like a pair, has no
            counterpart, or one of another size.
    """

    aligned = True
    lacks = ('extra_images', 'shuffle_colours')  # which have no truth

    def __init__(self, *args, side_by_side: bool = False, **kwargs):
        self.side_by_side = side_by_side
        super().__init__(*args, **kwargs)

    def load_files(self):
        root = self.data_root
        self.halved = images.has_halves(root, self.split)
        self.files = self.files_of('' if self.halved else 'A')
        if self.halved:  # the two share the file
            self.partners = {file: file for file in self.files}
            if not self.side_by_side:
                images.check_halves(self.files)
        else:
            self.partners = images.match_sides(
                *(images.split_folder(root, self.split, side, self.val_folder) for side in 'AB'),
                self.files,
                *self._channels_at('B'),
            )

    def files_by_side(self):
        return self.files, [self.partners[file] for file in self.files]

    def __len__(self) -> int:
        return len(self.files)

    def paths(self, index):
        # metrics tell images by their path
        name = self.files[index]
        return dict(
            pair_path=name,
            **{f'img_{d}_path': n for d, n in zip(self.domains, (name, self.partners[name]))},
        )

    def loading(self):
        if not self.halved:
            return super().loading()
        return [dict(type='mmgan_compress.ReadPair', channels=self.channels)]


@DATASETS.register_module()
class LabelledImages(PairedImages):
    """Label maps and pictures: ``trainA/ trainB/``, and so on.

    Or ``train/A/ train/B/``. Files of one name but for the extension are a
    pair. A third folder, ``trainI/``, may have instance maps: another number
    for each object. :func:`.images.read_label_map` says how they are read.

    Args:
        data_root (str): Folder of the data set.
        domains (Sequence[str]): Names of label maps and pictures.
        args: Of :class:`TranslationImages`.
        labels (dict): Arguments of :class:`~mmgan_compress.core.inputs.LabelMap`.
        aspect_ratio (float): Width of the images, ``size`` being their height.
        label_side (str): Letter of the folders of label maps.
        channels (dict[str, int] | None): As of :class:`TranslationImages`.
        kwargs: Of :class:`TranslationImages`.

    Raises:
        ValueError: As of :class:`PairedImages`.
    """

    def __init__(
        self,
        data_root: str,
        domains: Sequence[str],
        *args,
        labels: dict,
        aspect_ratio: float = 1.0,
        label_side: str = 'A',
        channels: dict[str, int] | None = None,
        **kwargs,
    ):
        self.labels, self.aspect_ratio, self.label_side = dict(labels), aspect_ratio, label_side
        own = {name: count for name, count in (channels or {}).items() if name != domains[0]}
        super().__init__(data_root, domains, *args, channels=own, **kwargs)

    def load_files(self):
        folders = [
            images.split_folder(self.data_root, self.split, side, self.val_folder)
            for side in (self.label_side, 'B', 'I')
        ]
        self.files = images.split_images(
            self.data_root,
            self.split,
            self.label_side,
            self.hold_out,
            self.val_folder,
            self.max_images,
        )
        pictures = self.channels[self.domains[1]]
        self.partners = images.match_sides(*folders[:2], self.files, pictures)
        self.instances = {}
        if os.path.isdir(folders[2]):
            self.instances = images.match_sides(folders[0], folders[2], self.files, None)

    def paths(self, index):
        paths = super().paths(index)
        if self.instances:
            key = f'img_{self.domains[0]}_instances_path'
            paths[key] = self.instances[self.files[index]]
        return paths

    @property
    def sized(self):
        return [f'img_{self.domains[0]}']

    def loading(self):
        (key,) = self.sized
        read = dict(type='mmgan_compress.ReadLabels', key=key, labels=self.labels)
        picture = self.domains[1]
        return [
            dict(read, size=self.loaded_size()),
            load_step(f'img_{picture}', self.channels[picture]),
        ]


@DATASETS.register_module()
class SuperResolutionImages(TranslationImages):
    """``train/ [val/] test/`` of images, each beside a smaller copy.

    ``domains`` are the small and the large images. In training, the large
    ones are random crops, ``scale`` times ``size`` pixels wide and high; val
    and test have whole images, cut to multiples of ``scale``: at batch size 1
    these may be of any size.

    Args:
        args: Of :class:`TranslationImages`; ``size`` is that of the small
            images.
        scale (int): How many times as large the others are.
        side (str): ``'A'`` or ``'B'`` takes ``trainA/`` and so on.
        kwargs: Of :class:`TranslationImages`.

    Raises:
        ValueError: If there are ``teacher_images`` or ``extra_images``, or a
            training image is smaller than a crop.
    """

    aligned = True
    lacks = ('teacher_images', 'extra_images', 'shuffle_colours')

    def __init__(self, *args, scale: int = 4, side: str = '', **kwargs):
        self.scale, self.side = scale, side
        super().__init__(*args, **kwargs)

    def load_files(self):
        self.files = self.files_of(self.side)
        if self.split == 'train':
            images.check_sides(self.files, self.scale * self.size)

    def files_by_side(self):
        return self.files, self.files

    def __len__(self) -> int:
        return len(self.files)

    def paths(self, index):
        return {f'img_{d}_path': self.files[index] for d in self.domains}

    def standard_pipeline(self):
        small, large = (f'img_{d}' for d in self.domains)
        steps, side = [load_step(large, self.channels[self.domains[1]])], self.scale * self.size
        if self.split == 'train':
            steps.append(dict(type='FixedCrop', keys=[large], crop_size=(side, side)))
            if self.flip:
                steps.append(dict(type='Flip', keys=[large], direction='horizontal'))
        steps.append(
            dict(type='mmgan_compress.ShrinkImage', key=large, small=small, scale=self.scale)
        )
        return self.packed(steps, [small, large])


@DATASETS.register_module()
class NoiseImages(TranslationImages):
    """``train/`` of images, each beside noise; val and test are noise alone.

    ``domains`` are the noise and the images. Noise is drawn by seed and
    position, as all that is random; val and test always have the same. Their
    images are for metrics to read.

    Args:
        args: Of :class:`TranslationImages`.
        noise_size (int): Numbers that an image is made from.
        samples (int): Images that are made in val and test.
        seed (int): Of the noise in val and test.
        crop (int | None): Side in pixels of the square in the middle of an
            image that is used; all of it if None.
        side (str): ``'A'`` or ``'B'`` takes ``trainA/`` and so on.
        kwargs: Of :class:`TranslationImages`.

    Raises:
        ValueError: If there are ``teacher_images`` or ``extra_images``, or
            images of training are smaller than ``crop``.
    """

    aligned = False
    lacks = ('teacher_images', 'extra_images', 'shuffle_colours')

    def __init__(
        self,
        *args,
        noise_size: int = 128,
        samples: int = 1000,
        seed: int = 0,
        crop: int | None = None,
        side: str = '',
        **kwargs,
    ):
        self.samples, self.noise_seed, self.crop, self.side = samples, seed, crop, side
        super().__init__(*args, noise_size=noise_size, **kwargs)

    def load_files(self):
        self.files: list[str] = []
        if self.split == 'train':
            self.files = self.files_of(self.side)
            images.check_sides(
                self.files, self.crop or 1, 'crop, or None, in data sets and references'
            )

    def files_by_side(self):
        files = self.files or [f'noise {index}' for index in range(self.samples)]
        return files, files

    def __len__(self) -> int:
        return len(self.files_by_side()[0])

    def paths(self, index):
        return {f'img_{self.domains[1]}_path': self.files[index]}

    def standard_pipeline(self):
        key = f'img_{self.domains[1]}'
        steps, side = [load_step(key, self.channels[self.domains[1]])], self.crop
        if side:
            steps.append(dict(type='Crop', keys=[key], crop_size=(side, side), random_crop=False))
        scaled = dict(scale=(self.size, self.size), interpolation='bicubic', backend='pillow')
        steps.append(dict(type='Resize', keys=[key], **scaled))
        if self.flip:
            steps.append(dict(type='Flip', keys=[key], direction='horizontal'))
        return self.packed(steps, [key])

    def __getitem__(self, position):
        if self.split == 'train':
            return super().__getitem__(position)
        path = {f'img_{self.domains[0]}_path': self.files_by_side()[0][position]}
        return dict(
            inputs=dict(noise=self.noise.draw(self.noise_seed, position)),
            data_samples=DataSample(metainfo=path),
        )


@DATA_SAMPLERS.register_module()
class PositionSampler(Sampler):
    """Endless positions 0, 1, 2, ... dealt to the ranks in turn.

    Its whole state is ``start``, so resuming costs nothing. The data set
    turns positions into shuffled images.

    Args:
        dataset (TranslationImages): What is drawn from.
        seed (int | None): Seed of order and augmentation.
    """

    def __init__(self, dataset: TranslationImages, seed: int | None = None):
        self.rank, self.world_size = get_dist_info()
        self.dataset, self.start = dataset, 0
        dataset.seed = seed or 0

    def __iter__(self) -> Iterator[int]:
        position = self.start + self.rank
        while True:
            yield position
            position += self.world_size

    def __len__(self) -> int:
        """Draws per rank in one epoch."""
        return -(-len(self.dataset) // self.world_size)
