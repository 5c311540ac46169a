"""The page that runs a student in the browser, in ONNX Runtime Web."""

import shutil
import tarfile
from pathlib import Path

from ..datasets.fetch import fetch_package

VERSION = '1.30.0'
ARCHIVE = f'onnxruntime-web-{VERSION}.tgz'
SHA256 = 'd2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71'
# of its archive, MIT licence; the other builds are for WebGPU and WebNN
RUNTIME = ('ort.wasm.min.js', 'ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm')
PAGE = Path(__file__).with_name('web_page')
HOSTING = '_headers'  # as Netlify and Cloudflare Pages read it
FILES = (*RUNTIME, *sorted(file.name for file in PAGE.iterdir()), HOSTING)
# without the first two a browser gives a page no shared memory: one thread
HEADERS = {
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Embedder-Policy': 'require-corp',
    'X-Content-Type-Options': 'nosniff',
}


def write_page(folder: Path) -> None:
    """Write the page and its runtime beside ``end2end.onnx`` and its facts.

    Args:
        folder (Path): Folder that any static host can serve.

    Raises:
        FetchError: If the runtime is not in the cache and npm cannot fetch
            it.
    """
    archive = fetch_package('npm', f'onnxruntime-web@{VERSION}', ARCHIVE, SHA256)
    with tarfile.open(archive) as package:
        for name in RUNTIME:
            with package.extractfile(f'package/dist/{name}') as source:
                with open(folder / name, 'wb') as target:
                    shutil.copyfileobj(source, target)
    for file in PAGE.iterdir():
        text = file.read_text(encoding='utf-8').replace('$version', VERSION)
        (folder / file.name).write_text(text, encoding='utf-8')
    lines = [f'  {name}: {value}\n' for name, value in HEADERS.items()]
    (folder / HOSTING).write_text(''.join(['/*\n', *lines]))
