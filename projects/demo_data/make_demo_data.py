"""Cut the demo data, which ships with the package, from the emoji sets."""

import argparse
import hashlib
import io
import shutil
import sys
import tempfile
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmgan_compress.cli.errors import guard  # noqa: E402
from mmgan_compress.core.files import refuse_taken, write_text  # noqa: E402

SIZE = 64
SETS = ('flat2emoji', 'edges2emoji')
NOISE = 'faces'
SPLITS = ('train', 'val', 'test')

# Unicode blocks of colourful motifs, and how many of each to take. Left out:
# skin tones and people (near-duplicates by the hundred), flags, signs.
GROUPS = {
    'faces': ([(0x1F47B, 0x1F47F), (0x1F600, 0x1F637), (0x1F910, 0x1F915),
               (0x1F920, 0x1F92F), (0x1F970, 0x1F97A)], (11, 2, 6)),
    'animals': ([(0x1F400, 0x1F43F), (0x1F980, 0x1F9AE),
                 (0x1FAB0, 0x1FABF)], (24, 4, 6)),
    'food and plants': ([(0x1F32D, 0x1F37F), (0x1F950, 0x1F96F),
                         (0x1F9C0, 0x1F9CB), (0x1FAD0, 0x1FADB)],
                        (25, 4, 6)),
    'objects': ([(0x1F380, 0x1F393), (0x1F3A0, 0x1F3CF),
                 (0x1F451, 0x1F463), (0x1F4A0, 0x1F4B0),
                 (0x1F9E0, 0x1F9FF), (0x1FA70, 0x1FAA0)], (20, 4, 10)),
    'travel': ([(0x1F3E0, 0x1F3EF), (0x1F680, 0x1F6A4),
                (0x1F6F3, 0x1F6FC)], (10, 2, 4)),
}  # yapf: disable

# Round faces of 3-D emoji, what a generator from noise learns in an hour.
FACES = [(0x1F600, 0x1F607), (0x1F609, 0x1F637), (0x1F641, 0x1F644),
         (0x1F910, 0x1F915), (0x1F917, 0x1F917), (0x1F920, 0x1F92F),
         (0x1F970, 0x1F976), (0x1F978, 0x1F97A), (0x1FAE0, 0x1FAE5),
         (0x1FAE8, 0x1FAE8)]  # yapf: disable

MIN_SATURATION = 50
MAX_BYTES = 2_600_000

LICENCE = """\
# Demo data: licence and origin

The images in `flat2emoji/`, `edges2emoji/` and `faces/` are made from Microsoft's
Fluent emoji (https://github.com/microsoft/fluentui-emoji), as carried by the
npm packages `@lobehub/fluent-emoji-flat` 1.1.0 (flat, SVG) and
`@lobehub/fluent-emoji-3d` 1.1.0 (3-D, WebP, 256 x 256).

What was changed, by `projects/demo_data/make_demo_data.py`: a small choice of motifs,
drawn onto white and resized to 64 x 64; in `edges2emoji/`, an edge drawing
computed from the 3-D image stands at its left; in the folders of
`flat2emoji/` that end with L, the colours of the flat image as numbers of 15
classes and the background. Train, val and test are those
of the full sets (`mmgan-compress data flat2emoji --import
projects.demo_data.emoji --size 64`), so
nothing in the test folders is in the full sets' train folders. `faces/` has
99 faces of all three: a generator from noise has no test images.

The originals and these images are under the MIT licence:

> MIT License
>
> Copyright (c) Microsoft Corporation.
>
> Permission is hereby granted, free of charge, to any person obtaining a copy
> of this software and associated documentation files (the "Software"), to
> deal in the Software without restriction, including without limitation the
> rights to use, copy, modify, merge, publish, distribute, sublicense, and/or
> sell copies of the Software, and to permit persons to whom the Software is
> furnished to do so, subject to the following conditions:
>
> The above copyright notice and this permission notice shall be included in
> all copies or substantial portions of the Software.
>
> THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
> IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
> FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
> AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
> LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING
> FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS
> IN THE SOFTWARE.
"""


def encode(path: Path) -> bytes:
    """Encode an image as the smallest PNG that Pillow makes; lossless."""
    from PIL import Image

    with Image.open(path) as image:
        image.load()
    packed = []
    for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED):
        stream = io.BytesIO()
        image.save(stream, 'PNG', compress_level=9, compress_type=strategy)
        packed.append(stream.getvalue())
    return min(packed, key=len)


def saturation(path: Path) -> float:
    """Average the HSV saturation over what is not white."""
    import numpy as np
    from PIL import Image

    with Image.open(path) as image:
        hsv = np.asarray(image.convert('HSV'), dtype=float)
    drawn = (hsv[..., 2] < 250) | (hsv[..., 1] > 10)
    return float(hsv[..., 1][drawn].mean())


def motif_files(root: Path, split: str, name: str) -> list[Path]:
    """List the files of one motif in both sets."""
    return [
        root / 'flat2emoji' / f'{split}A' / name,
        root / 'flat2emoji' / f'{split}B' / name,
        root / 'edges2emoji' / split / name,
    ]


def code_of(file: Path) -> int | None:
    """Return the code point of an emoji; None for a sequence of several:
    people, flags, variants.
    """
    code = file.stem.replace('-fe0f', '')
    return None if '-' in code else int(code, 16)


def faces(root: Path) -> dict[str, bytes]:
    """Return the faces of all splits by file name, encoded."""
    files = sorted(
        (file for split in SPLITS for file in (root / SETS[0] / f'{split}B').iterdir()),
        key=lambda file: file.name,
    )
    return {
        file.name: encode(file)
        for file in files
        if any(low <= (code_of(file) or 0) <= high for low, high in FACES)
    }


def choose(root: Path, split: str) -> dict[str, list[bytes]]:
    """Choose the motifs of a split, the same ones on every run.

    Args:
        root: The folder of the two full sets.
        split: 'train', 'val' or 'test'.

    Returns:
        dict: File name -> encoded images, in the order of `motif_files`.
    """
    names = {}
    for file in (root / 'flat2emoji' / f'{split}A').iterdir():
        code = code_of(file)
        if code is not None:
            names[code] = file.name
    chosen: dict[str, list[bytes]] = {}
    for group, (blocks, quotas) in GROUPS.items():
        found = {}
        for code, name in names.items():
            if any(low <= code <= high for low, high in blocks):
                files = motif_files(root, split, name)
                if saturation(files[1]) >= MIN_SATURATION:
                    found[name] = [encode(file) for file in files]
        # The heaviest quarter are busy drawings: not to be made out at
        # 64 px, and the bytes are few.
        light = sorted(found, key=lambda n: sum(map(len, found[n])))
        light = light[: len(light) * 3 // 4]
        light.sort(key=lambda n: hashlib.md5(n.encode()).digest())
        quota = quotas[SPLITS.index(split)]
        if len(light) < quota:
            sys.exit(
                f'{split}: got {len(light)} {group}, expected {quota}. Lower its quota in GROUPS.'
            )
        chosen.update({name: found[name] for name in light[:quota]})
    return chosen


def main() -> None:
    """Build the full sets at 64 px, choose, and write the demo data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', default='mmgan_compress/datasets/demo')
    parser.add_argument('--overwrite', action='store_true', help='replace sets that are there')
    args = parser.parse_args()
    import projects.demo_data.emoji  # noqa: F401  registers the sets
    from mmgan_compress.datasets.prepare import prepare_data
    from mmgan_compress.datasets.sources import labels

    out = Path(args.out)
    made = [out / name for name in (*SETS, NOISE)]
    refuse_taken([*made, out / 'LICENSE.md'], overwrite=args.overwrite)
    total = 0
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for name in SETS:
            prepare_data(name, root / name, SIZE)
        for folder in made:
            shutil.rmtree(folder, ignore_errors=True)
        files = {out / NOISE / 'train' / name: data for name, data in faces(root).items()}
        for split in SPLITS:
            for name, images in choose(root, split).items():
                files.update(zip(motif_files(out, split, name), images))
        for file, data in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            total += len(data)
        # the label maps of what was chosen
        prepare_data('labels2emoji', root / 'labels', SIZE, labels.emoji_in(out / SETS[0]))
        for split in SPLITS:
            shutil.copytree(root / f'labels/{split}A', out / SETS[0] / f'{split}L')
    write_text(out / 'LICENSE.md', LICENCE)
    print(f'{out}: {total:,} bytes')
    if total > MAX_BYTES:
        sys.exit(f'Expected at most {MAX_BYTES:,} bytes: lower GROUPS.')


if __name__ == '__main__':
    sys.exit(guard(main))
