"""Videos, frame by frame; ffmpeg copies their sound, where it is installed."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from ..core.files import atomic_write, refuse_taken

EXTENSIONS = ('.mp4', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.mpg', '.mpeg')
# MPEG-4 part 2: the one codec of MP4 that every OpenCV can write
CODEC = cv2.VideoWriter_fourcc(*'mp4v')


class About(NamedTuple):
    """What a video says of itself.

    Args:
        fps (float): Frames per second.
        width, height (int): In pixels, as shown.
        frames (int | None): How many, if the file says so.
    """

    fps: float
    width: int
    height: int
    frames: int | None


def is_video(path: Any) -> bool:
    """Tell by its name whether something is a video file."""
    return isinstance(path, (str, Path)) and str(path).lower().endswith(EXTENSIONS)


def destination(source: Path, out: str | Path | None, overwrite: bool = False) -> Path:
    """Choose the file that a translated video goes to.

    Args:
        source (Path): The video.
        out (str | Path | None): Folder of the result.
        overwrite (bool): Whether a file that is there may be replaced.

    Raises:
        FileExistsError: If a file is there.
        FileNotFoundError: If there is no such video.
        ValueError: If there is no folder, or the result would replace the
            video.
    """
    if not source.is_file():
        raise FileNotFoundError(f'no video at {source.resolve()}')
    if out is None:
        raise ValueError(f'{source} is a video: give a folder for the result (out)')
    target = Path(out).resolve() / f'{source.stem}.mp4'
    refuse_taken([target], [source], overwrite)
    return target


def probe(source: Path) -> About:
    """Read a video's size and frame rate.

    Raises:
        ValueError: If it cannot be read, with its name.
    """
    with _opened(source) as capture:
        done, frame = capture.read()
        fps = capture.get(cv2.CAP_PROP_FPS)
        if not done or not fps > 0:
            raise ValueError(f'{source} cannot be read as a video by OpenCV')
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        return About(fps, frame.shape[1], frame.shape[0], count if count > 0 else None)


def frames(source: Path) -> Iterator[np.ndarray]:
    """Yield the frames of a video, (H, W, 3), RGB, uint8."""
    with _opened(source) as capture:
        while True:
            done, frame = capture.read()
            if not done:
                return
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


@contextlib.contextmanager
def writing(target: Path, about: About, source: Path | None = None) -> Iterator[Callable]:
    """Write a video; it appears when it is complete.

    Args:
        target (Path): MP4 file; its folder is made.
        about (About): Size and frame rate. The codec stores even sides: of
            an odd one, the last row or column is left out.
        source (Path | None): Video whose sound it gets, if ffmpeg is there
            and MP4 can hold the sound.

    Yields:
        Callable: Takes a frame, (H, W, 3), RGB, uint8.

    Raises:
        OSError: If OpenCV cannot write there.
    """
    with atomic_write(target) as part:
        writer = cv2.VideoWriter(str(part), CODEC, about.fps, (about.width, about.height))
        try:
            if not writer.isOpened():
                raise OSError(f'OpenCV cannot write a video to {target}')
            yield lambda frame: writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        finally:
            writer.release()
        try:
            probe(part)  # OpenCV does not say that a write has failed
        except ValueError as error:
            raise OSError(f'OpenCV could not write {target}: is there room on the disk?') from error
        if source:
            _copy_sound(source, part)


def _copy_sound(source: Path, silent: Path) -> None:
    """Add the sound of one video to another one, if that can be done."""
    ffmpeg = shutil.which('ffmpeg')
    if ffmpeg is None:
        return
    both = silent.with_name(f'{silent.stem}.sound.mp4')
    # 'file:' lets no name be an option or an address
    names = [f'file:{file.resolve()}' for file in (silent, source, both)]
    streams = ['-map', '0:v', '-map', '1:a', '-c', 'copy']
    command = [ffmpeg, '-v', 'error', '-i', names[0], '-i', names[1], *streams, names[2]]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
        if done.returncode == 0:  # else there is no sound, or none that MP4 holds
            os.replace(both, silent)
    finally:
        both.unlink(missing_ok=True)


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[cv2.VideoCapture]:
    capture = cv2.VideoCapture(str(source))
    try:
        yield capture
    finally:
        capture.release()
