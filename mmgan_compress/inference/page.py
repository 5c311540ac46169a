"""A page to try a student on, beside its teacher.

Plain HTML without scripts. Werkzeug serves it, which TensorBoard brings along.
Pictures that are sent are decoded, made smaller if need be, and sent back as
new PNG data inside the page: nothing is written to disk, and what was sent
never goes out again as it came.
"""

import base64
import contextlib
import html
import io
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from PIL import Image

from ..compat import require
from ..datasets import pictures
from ..datasets.images import UnusableImage, coloured, method_of, of_array, read_as, to_array
from ..datasets.sources.labels import CLASSES
from ..demo import DATA
from ..deploy import web
from ..deploy.export import read_record
from .translator import Translator

LOCAL = ('127.0.0.1', 'localhost')
EXAMPLES = 8

LIMIT = 16 * 2**20  # bytes of an upload
MAX_SIDE = 1024  # px; larger pictures are made smaller
MAX_PIXELS = 50_000_000  # of a picture that is decoded
MAX_EDGE = 20_000  # px of it: a decoder works row by row
# Of those who send slowly: they are cut off, and wait for no one else.
PAUSE = 10  # seconds without a byte
RECEIVING = 60  # seconds until a request has arrived
CONNECTIONS = 32  # at once; a browser opens 6 of its own
FORMATS = ('PNG', 'JPEG', 'WEBP', 'BMP')
THUMBNAIL = 96
# no script, nothing from elsewhere, whatever a picture or a name may hold
HEADERS = {
    'Content-Security-Policy': "default-src 'none'; img-src data:; style-src "
    "'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-store',
}


class TryPage:
    """A WSGI application: a form, and what each model makes of a picture.

    Args:
        models (Mapping[str, Translator]): By title, the slowest first: its
            time is the measure of the others.
        examples (Sequence[str | Path]): Pictures to choose from.
        hosts (Sequence[str] | None): Names that it may be asked under, so
            that no other site can point its own name here; any if None.

    Raises:
        ImportError: If Werkzeug is not installed.
        ValueError: If the models take different numbers of channels.
    """

    def __init__(
        self,
        models: Mapping[str, Translator],
        examples: Sequence[str] = (),
        hosts: Sequence[str] | None = None,
    ):
        self.wrappers = require('werkzeug.wrappers', 'The page')
        self.models = dict(models)
        kinds = {model.kind for model in self.models.values()}
        if len(kinds) > 1:
            raise ValueError(
                f'the models take {sorted(map(str, kinds))} channels: expected models of one kind '
                'of image'
            )
        self.kind = kinds.pop()
        self.channels = next(iter(self.models.values())).channels[0]
        self.examples = [self._read(path) for path in examples]
        self.hosts = list(hosts) if hosts else None
        self.turn = threading.Lock()  # times mean nothing in parallel
        self.warm: set[tuple[int, int]] = set()  # sizes that have been run
        self._warm_up((256, 256))

    def __call__(self, environ: dict, start_response: Callable):
        """Answer a request, as WSGI asks for."""
        request = self.wrappers.Request(environ)
        request.max_content_length = LIMIT
        request.trusted_hosts = self.hosts
        errors = require('werkzeug.exceptions', 'The page')
        try:
            _ = request.host  # raises where it is not trusted
            status, body = self._answer(request)
        except errors.RequestEntityTooLarge:
            status, body = 413, _message(f'The file is larger than {LIMIT // 2**20} MB.')
        except errors.HTTPException as error:
            status, body = error.code, _message(error.description)
        except ValueError as error:
            status, body = 400, _message(str(error))
        response = self.wrappers.Response(self._page(body), status, HEADERS, mimetype='text/html')
        return response(environ, start_response)

    def _answer(self, request) -> tuple[int, str]:
        if request.path != '/':
            return 404, _message('There is nothing here but the page /.')
        if request.method in ('GET', 'HEAD'):
            return 200, ''
        if request.method != 'POST':
            return 405, _message('Only GET and POST are understood.')
        return 200, self._translate(self._picture(request))

    def _picture(self, request) -> Image.Image:
        """Return the picture that was chosen or sent."""
        chosen = request.form.get('example', '')
        request.environ.get(_RECEIVED, bool)()  # now it is all here
        if chosen:
            if chosen.isdecimal() and int(chosen) < len(self.examples):
                return self.examples[int(chosen)]
            raise ValueError(f'There is no example {chosen[:20]!r}.')
        file = request.files.get('image')
        if file is None or not file.filename:
            raise ValueError('No picture was chosen.')
        return _decoded(file.stream, self._read)

    def _read(self, image: Any) -> Image.Image:
        """Read what the models take, made smaller if need be."""
        return _small(read_as(image, self.kind), method=method_of(self.kind))

    def _shown(self, image: Image.Image) -> Image.Image:
        return image if isinstance(self.kind, int) else coloured(image)

    def _translate(self, image: Image.Image) -> str:
        figures = [_figure('input', self._shown(image), f'{image.width}x{image.height}')]
        first = None
        with self.turn:
            self._warm_up((image.height, image.width))
            for title, model in self.models.items():
                begin = time.perf_counter()
                pixels = model.run(to_array(image)[None])[0]
                seconds = time.perf_counter() - begin
                first = first or seconds
                text = f'{1e3 * seconds:.1f} ms in {model.runtime}'
                if len(figures) > 1:
                    text += f', {first / seconds:.1f} times as fast'
                figures.append(_figure(title, of_array(pixels), text))
        return f'<div id="results">{"".join(figures)}</div>'

    def _warm_up(self, size: tuple[int, int]):
        """Run all models once: the first run of a size prepares others."""
        if size in self.warm:
            return
        for model in self.models.values():
            model.run(np.zeros((1, *size, self.channels), np.uint8))
        self.warm = {size}  # runtimes keep the last one, or more

    def _page(self, body: str) -> str:
        buttons = [
            f'<button name="example" value="{index}">'
            f'{_picture_tag(_small(self._shown(image).copy(), THUMBNAIL), f"example {index + 1}")}'
            '</button>'
            for index, image in enumerate(self.examples)
        ]
        return PAGE.substitute(
            examples=''.join(buttons), body=body, megabytes=LIMIT // 2**20, side=MAX_SIDE
        )


class WebFolder:
    """A WSGI application: the files of an export for the browser, no others.

    Args:
        folder (str | Path): What ``export`` wrote for the backend ``web``.

    Raises:
        ValueError: If it is no such folder.
        ImportError: If Werkzeug is not installed.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder).resolve()
        record = read_record(self.folder)
        if record.get('backend') != 'web':
            raise ValueError(
                f'{folder} is no export for the browser: expected the folder that '
                '`mmgan-compress export student.pth --out FOLDER --deploy-cfg '
                'configs/deploy/image-translation_web_dynamic.py` writes'
            )
        self.files = list(record['files'])
        self.utils = require('werkzeug.utils', 'The page')
        self.wrappers = require('werkzeug.wrappers', 'The page')

    def __call__(self, environ: dict, start_response: Callable):
        """Answer a request, as WSGI asks for."""
        name = environ['PATH_INFO'].lstrip('/') or 'index.html'
        if name in self.files:
            response = self.utils.send_from_directory(self.folder, name, environ)
            response.headers.extend(web.HEADERS)
        else:
            response = self.wrappers.Response('There is no such file.\n', 404)
        return response(environ, start_response)


def serve(page: Callable, host: str, port: int) -> None:
    """Serve a page until it is interrupted.

    Args:
        page (Callable): A WSGI application, such as :class:`TryPage`.
        host (str): Address to listen on; 127.0.0.1 is this machine alone.
        port (int): Port to listen on.

    Raises:
        OSError: If nothing can listen there, as the port is taken.
    """
    serving = require('werkzeug.serving', 'The page')
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    try:  # Werkzeug would print the error and exit
        socket.create_server((host, port), family=family).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, 'strerror', None) or str(error).rstrip('.')
        raise OSError(
            f'cannot listen on {host}, port {port}: {reason}. Choose another --host or --port'
        ) from error
    # browsers open connections in advance: one at a time would wait for them
    serving.run_simple(host, port, page, threaded=True, request_handler=bounded_handler())


_RECEIVED = 'mmgan_compress.received'  # of a request: to call when it is here


def show_models(
    files: Mapping[str, str | None], examples: str | None, host: str, port: int, **opening
) -> None:
    """Open models and serve a page of them.

    Args:
        files (Mapping[str, str | None]): Student files or exported models by
            their titles; those that are None are left out.
        examples (str | None): Folder of pictures to choose from, of which
            eight are shown; None for those of the demo.
        host (str): Address to listen on.
        port (int): Port to listen on.
        **opening: Further arguments of :class:`Translator`.
    """
    models = {title: Translator(file, **opening) for title, file in files.items() if file}
    kind = next(iter(models.values())).kind
    shipped = DATA / 'flat2emoji' / ('testA' if isinstance(kind, int) else 'testL')
    jobs = pictures.collect(examples or shipped)[:EXAMPLES]
    if not examples and not isinstance(kind, int) and kind.classes < CLASSES:
        jobs = []  # the shipped label maps have more
    hosts = LOCAL if host in LOCAL else None
    serve(TryPage(models, [job.image for job in jobs], hosts), host, port)


def bounded_handler(
    pause: float = PAUSE, receiving: float = RECEIVING, connections: int = CONNECTIONS
) -> type:
    """Return Werkzeug's handler with bounds on what a client may hold.

    Args:
        pause (float): Seconds without a byte.
        receiving (float): Seconds until a request has arrived.
        connections (int): At once; further ones get status 503.
    """
    serving = require('werkzeug.serving', 'The page')
    places = threading.BoundedSemaphore(connections)

    class Handler(serving.WSGIRequestHandler):
        timeout = pause

        def handle(self):
            if not places.acquire(blocking=False):
                self.wfile.write(b'HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\r\n')
                return
            self.deadline = threading.Timer(receiving, self._cut_off)
            self.deadline.start()
            try:
                super().handle()
            finally:
                self.deadline.cancel()
                places.release()

        def make_environ(self):
            return {**super().make_environ(), _RECEIVED: self.deadline.cancel}

        def _cut_off(self):
            with contextlib.suppress(OSError):  # it may be gone already
                self.connection.shutdown(socket.SHUT_RDWR)

    return Handler


def _decoded(stream, read: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Decode a picture that somebody sent; refuse what is none."""
    try:
        with Image.open(stream, formats=FORMATS) as file:
            if file.width * file.height > MAX_PIXELS or max(file.size) > MAX_EDGE:
                raise ValueError(
                    f'The picture is {file.width}x{file.height}: expected at most {MAX_PIXELS} '
                    f'pixels, and {MAX_EDGE} at an edge.'
                )
            return read(file)
    except UnusableImage as error:
        raise ValueError(f'This picture cannot be used: {error}.') from error
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(
            f'This is no picture that can be read: expected one of {", ".join(FORMATS)}.'
        ) from error


def _small(
    image: Image.Image, side: int = MAX_SIDE, method: Image.Resampling = Image.Resampling.BICUBIC
) -> Image.Image:
    image.thumbnail((side, side), method)
    return image


def _picture_tag(image: Image.Image, title: str) -> str:
    data = io.BytesIO()
    image.save(data, 'PNG')
    text = base64.b64encode(data.getvalue()).decode()
    return f'<img alt="{html.escape(title)}" src="data:image/png;base64,{text}">'


def _figure(title: str, image: Image.Image, text: str) -> str:
    return (
        f'<figure>{_picture_tag(image, title)}<figcaption><b>'
        f'{html.escape(title)}</b><br>{html.escape(text)}</figcaption>'
        '</figure>'
    )


def _message(text: str) -> str:
    return f'<p id="message">{html.escape(text)}</p>'


PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Try the student</title>
<style>
body { font: 16px sans-serif; margin: 2em auto; max-width: 70em;
       padding: 0 1em; color: #222; }
figure { display: inline-block; margin: 0 1em 1em 0; vertical-align: top; }
figure img { width: 20em; max-width: 100%; image-rendering: auto; }
button { padding: .3em; }
button img { height: 5em; display: block; }
#message { color: #a00; }
</style>
<h1>Try the student</h1>
<form method="post" enctype="multipart/form-data">
<p><label>Your picture, at most $megabytes MB; above $side pixels it is made
smaller: <input type="file" name="image" accept="image/*"></label>
<button id="translate">Translate</button></p>
<p>$examples</p>
</form>
$body
</html>
""")
