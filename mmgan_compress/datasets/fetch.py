"""Fetch files from the web and from the package registries, verified."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import requests
from tqdm import tqdm

from ..core.files import naming

PathLike = str | Path
CHUNK = 1 << 16  # small: what is read of it is lost when a line breaks
ATTEMPTS = 3


class FetchError(ValueError):
    """Something could not be fetched, or is not what it should be."""


class ChecksumError(FetchError):
    """A file is damaged or another one than expected."""


def cache_dir() -> Path:
    """Return the folder for everything that is fetched once.

    ``MMGAN_COMPRESS_HOME`` if it is set, else ``~/.cache/mmgan_compress``.
    """
    home = os.environ.get('MMGAN_COMPRESS_HOME')
    return Path(home) if home else Path.home() / '.cache' / 'mmgan_compress'


def sha256_of(path: PathLike) -> str:
    """Hash a file without reading it into memory at once."""
    with open(path, 'rb') as stream:
        return hashlib.file_digest(stream, 'sha256').hexdigest()


def check_sha256(path: PathLike, sha256: str | None) -> None:
    """Refuse a file that has not the expected digest.

    Args:
        path: The file.
        sha256: The expected digest in hexadecimal, or None if not known.

    Raises:
        ChecksumError: If the digest is another one.
    """
    got = sha256 and sha256_of(path)
    if got != sha256:
        raise ChecksumError(
            f'{path} has sha256 {got}, expected {sha256}: it is damaged or '
            'another version. Delete it and run again.'
        )


def download(url: str | Sequence[str], path: PathLike, sha256: str | None = None) -> Path:
    """Download a file; an interrupted download goes on where it stopped.

    The bytes are collected in ``<path>.part`` and renamed when they are
    complete and verified, so ``path`` is either absent or whole.

    Args:
        url: The address, or several mirrors in order of preference.
        path: Where to put the file.
        sha256: The expected digest, where it is known. Without it, nothing
            is taken over plain http, which anybody on the way can change.

    Returns:
        Path: ``path``.

    Raises:
        FetchError: If no mirror gave the expected file.
    """
    path = Path(path)
    if _is_there(path, sha256):
        return path
    problems = []
    for i, address in enumerate([url] if isinstance(url, str) else url):
        # Only a checksum tells whether two mirrors hold the same bytes;
        # without one their parts must not be mixed.
        mirror = f'.mirror{i}' if i and sha256 is None else ''
        part = path.with_name(f'{path.name}{mirror}.part')
        try:
            _complete(address, part, sha256 is None)
            check_sha256(part, sha256)
        except (FetchError, requests.RequestException) as error:
            problems.append(f'  {address}: {error}')
            if isinstance(error, ChecksumError):
                part.unlink()
        else:
            os.replace(part, path)
            return path
    advice = f'Run again to go on where it stopped, or put the file at {path}.'
    raise FetchError('\n'.join([f'Could not download {path.name}:', *problems, advice]))


def _is_there(path: Path, sha256: str | None) -> bool:
    """Tell whether a file is in the cache; make its folder if not."""
    if path.exists():
        check_sha256(path, sha256)
        return True
    path.parent.mkdir(parents=True, exist_ok=True)
    return False


def _complete(url: str, part: Path, https: bool) -> None:
    """Complete ``part`` from one address, with a few attempts."""
    broken = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    for attempt in range(ATTEMPTS):
        try:
            if _append(url, part, https):
                return
        except broken:
            if attempt == ATTEMPTS - 1:
                raise
    raise FetchError(f'the connection broke {ATTEMPTS} times')


def _append(url: str, part: Path, https: bool) -> bool:
    """Fetch what is missing of ``part``; say whether it is complete."""
    have = part.stat().st_size if part.exists() else 0
    # "identity": a range of a compressed transfer would not fit the rest.
    headers = {'Accept-Encoding': 'identity'}
    if have:
        headers['Range'] = f'bytes={have}-'
    with requests.get(url, headers=headers, stream=True, timeout=(10, 60)) as reply:
        if https and not all(step.url.startswith('https:') for step in (*reply.history, reply)):
            raise FetchError(
                'plain http, and no checksum is known: anybody on the way could change it'
            )
        total = _total_size(reply)
        if reply.status_code == 416:  # nothing behind what we have
            if total == have:
                return True
            part.unlink()
            return False
        reply.raise_for_status()
        if reply.status_code != 206:  # the server ignored the range
            have = 0
        name = part.name.removesuffix('.part')
        bar = dict(total=total, initial=have, unit='B', unit_scale=True, desc=name, disable=None)
        with naming(part), open(part, 'ab' if have else 'wb') as stream, tqdm(**bar) as shown:
            for block in reply.iter_content(CHUNK):
                stream.write(block)
                shown.update(len(block))
    return total is None or part.stat().st_size == total


def _total_size(reply: requests.Response) -> int | None:
    """Read the size of the whole file from a (partial) reply."""
    total = reply.headers.get('Content-Range', '').rpartition('/')[2]
    if not total and reply.status_code == 200:
        total = reply.headers.get('Content-Length', '')
    return int(total) if total.isdigit() else None


def fetch_package(kind: str, spec: str, filename: str, sha256: str, sdist: bool = False) -> Path:
    """Fetch one archive from a package registry with its ordinary client.

    Nothing is installed. The verified archive is kept in the cache, so the
    second call needs no network.

    Args:
        kind: 'pip', 'npm' or 'apt' (a package of Debian or Ubuntu).
        spec: The package and its exact version, as the client wants it.
        filename: Name of the archive that the client gives.
        sha256: The expected digest of the archive.
        sdist: Ask pip for the source archive in place of the wheel.

    Returns:
        Path: The archive in the cache.

    Raises:
        FetchError: If the client fails or gives another archive.
    """
    path = cache_dir() / 'packages' / filename
    if _is_there(path, sha256):
        return path
    print(f'Fetching {spec} with {kind} ...', flush=True)
    make = dict(pip=_pip_command, npm=_npm_command, apt=_apt_command)[kind]
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        command = make(spec, sha256, sdist, Path(folder))
        # apt-get writes where it runs
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        fetched = Path(folder) / filename
        if done.returncode or not fetched.exists():
            raise FetchError(
                f'{kind} could not fetch {spec} (exit {done.returncode}):\n'
                f'{(done.stderr or done.stdout).strip()[-1500:]}\n'
                'Check the network, or fetch the archive on another machine '
                f'and put it at {path}.'
            )
        check_sha256(fetched, sha256)
        os.replace(fetched, path)
    return path


def _pip_command(spec: str, sha256: str, sdist: bool, folder: Path) -> list[str]:
    """Build the pip call.

    pip runs the build script of a source archive for its metadata. With the
    hash in a requirements file it verifies the archive before that.
    """
    requirements = folder / 'requirements.txt'
    requirements.write_text(f'{spec} --hash=sha256:{sha256}\n')
    form = '--no-binary' if sdist else '--only-binary'
    package = spec.split('==')[0]
    fetch = [sys.executable, '-m', 'pip', 'download', '--no-deps', '--require-hashes']
    return [*fetch, form, package, '--dest', str(folder), '--requirement', str(requirements)]


def _npm_command(spec: str, sha256: str, sdist: bool, folder: Path) -> list[str]:
    """Build the npm call."""
    npm = shutil.which('npm')
    if npm is None:
        raise FetchError(
            f'npm, which fetches {spec}, was not found. Install Node.js (https://nodejs.org; the '
            'other tools for data come with `pip install mmgan_compress[data]`), or run `npm pack '
            f'{spec}` on another machine and put the archive into {folder.parent}.'
        )
    return [npm, 'pack', spec, '--pack-destination', str(folder)]


def _apt_command(spec: str, sha256: str, sdist: bool, folder: Path) -> list[str]:
    """Build the apt-get call, which installs nothing."""
    if shutil.which('apt-get') is None:
        raise FetchError(
            f'apt-get, which fetches {spec}, was not found. Fetch the package of Debian in '
            f'another way and put it into {folder.parent}.'
        )
    return ['apt-get', 'download', spec]
