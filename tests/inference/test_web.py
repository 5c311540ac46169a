"""An export for the browser: its files, its server, and the page in a real browser."""

import dataclasses
import functools
import http.server
import re
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest
from PIL import Image

from browsers import free_port, wait_for
from mmgan_compress import Translator
from mmgan_compress.cli import main
from mmgan_compress.datasets.images import to_array
from mmgan_compress.deploy import web
from mmgan_compress.deploy.export import export_student
from mmgan_compress.deploy.targets import read_target
from mmgan_compress.inference.page import WebFolder
from students import make_student

werkzeug_test = pytest.importorskip('werkzeug.test')

PIXELS = """Array.from(document.getElementById('output').getContext('2d')
    .getImageData(0, 0, output.width, output.height).data)"""


def export(folder, kind='dynamic', **student):
    make_student(folder / 'student.pth', 'separable', num_blocks=1, **student)
    target = read_target(f'image-translation_web_{kind}{"-256x256" * (kind == "static")}.py')
    return export_student(folder / 'student.pth', folder / 'web', target, 32)


def test_serves_its_files_only(tmp_path):
    folder = tmp_path / 'web'
    folder.mkdir()
    (folder / 'index.html').write_text('here')
    (folder / 'private.txt').write_text('not here')
    with pytest.raises(ValueError, match='no export for the browser'):
        WebFolder(folder)
    record = '{"student_sha256": "", "backend": "web", "files": {"index.html": ""}}'
    (folder / 'parity.json').write_text(record)
    client = werkzeug_test.Client(WebFolder(folder))
    answer = client.get('/')
    assert (answer.text, answer.mimetype) == ('here', 'text/html')
    for name, value in web.HEADERS.items():
        assert answer.headers[name] == value
    for path in ('/private.txt', '/parity.json', '/../student.pth', '/%2e%2e/student.pth'):
        assert client.get(path).status_code == 404


def test_float_pictures_are_refused(tmp_path):
    make_student(tmp_path / 'student.pth', 'separable', num_blocks=1)
    target = dataclasses.replace(read_target('image-translation_web_dynamic.py'), uint8=False)
    with pytest.raises(ValueError, match='uint8=True'):
        export_student(tmp_path / 'student.pth', tmp_path / 'web', target, 32)
    assert not (tmp_path / 'web').exists()


@pytest.fixture
def server(tmp_path):
    """Serve the export of a student by the command; return its address."""
    report = export(tmp_path)
    assert set(report['files']) == {'end2end.onnx', 'end2end.json', *web.FILES}
    port = free_port()
    tool = [sys.executable, '-m', 'mmgan_compress', 'page', '--web', str(tmp_path / 'web')]
    process = subprocess.Popen([*tool, '--port', str(port)], stderr=subprocess.DEVNULL)
    try:
        wait_for(f'http://127.0.0.1:{port}/', process)
        yield f'http://127.0.0.1:{port}/'
    finally:
        process.terminate()
        process.wait()


@pytest.mark.slow
def test_pictures_camera_and_video(browser, server, tmp_path):
    browser.send('window/rect', width=390, height=844)  # of a phone
    browser.send('url', url=server)
    browser.wait('document.body.dataset.ready')
    assert browser.compute(
        'document.documentElement.scrollWidth <= innerWidth && '
        '[file, camera].every((one) => one.offsetHeight >= 40)'  # px, for a finger
    )
    assert browser.compute(
        'crossOriginIsolated && '
        'ort.env.wasm.numThreads === Math.min(4, navigator.hardwareConcurrency)'
    )
    (field,) = browser.find('#file')

    browser.compute('side.value = 32')
    photo = make_photo(52, 36)
    photo.save(tmp_path / 'photo.png')
    browser.send(f'{field}/value', text=str(tmp_path / 'photo.png'))
    assert browser.wait('after.textContent').endswith(' ms')
    assert browser.compute('before.textContent') == '52x36, taken as 32x24'
    browser.compute('side.value = 52')
    browser.compute("after.textContent = ''")
    browser.compute("openFile(document.getElementById('file').files[0])")
    browser.wait('after.textContent')
    page = np.uint8(browser.compute(PIXELS)).reshape(36, 52, 4)
    python = to_array(Translator(tmp_path / 'web')(photo)[0])
    assert (page[..., 3] == 255).all()
    difference = np.abs(page[..., :3].astype(int) - python)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.001

    (tmp_path / 'notes.png').write_text('no picture')
    browser.send(f'{field}/value', text=str(tmp_path / 'notes.png'))
    assert 'expected a picture' in browser.wait('message.textContent')
    assert browser.compute('pictures.hidden && $("save").hidden'), 'they are of the earlier file'

    browser.compute('camera.click()')
    # the page's frames, and the camera's own, which Chromium makes up: 20 or 30 a second
    browser.wait('(/ms, ([\\d.]+) of/.exec(after.textContent) || [0, 0])[1] > 1')
    browser.wait('(/of ([\\d.]+) frames/.exec(after.textContent) || [0, 0])[1] > 10')
    rates = re.search(r'([\d.]+) of ([\d.]+) frames', browser.compute('after.textContent'))
    assert float(rates[1]) <= float(rates[2]), 'a frame was translated twice'
    assert not browser.compute('message.textContent')
    browser.compute('stop()')
    assert browser.compute('video.srcObject === null')

    make_video(tmp_path / 'film.webm', 64, 48, frames=40)
    browser.send(f'{field}/value', text=str(tmp_path / 'film.webm'))
    browser.wait(
        "before.textContent.startsWith('64x48') && "
        '(/of ([\\d.]+) frames/.exec(after.textContent) || [0, 0])[1] >= 8'
    )
    assert not browser.compute('message.textContent')

    hosts = 'performance.getEntriesByType("resource").map((one) => new URL(one.name).origin)'
    assert set(browser.compute(hosts)) == {server.rstrip('/')}


@pytest.mark.slow
def test_any_static_host_will_do(browser, tmp_path):
    export(tmp_path, 'static', in_channels=1, out_channels=1)
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / 'web')
    )
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        browser.send('url', url=f'http://127.0.0.1:{host.server_port}/index.html')
        browser.wait('document.body.dataset.ready')
        assert browser.compute('ort.env.wasm.numThreads') == 1
        photo = make_photo(32, 32)
        photo.save(tmp_path / 'photo.png')
        (field,) = browser.find('#file')
        browser.send(f'{field}/value', text=str(tmp_path / 'photo.png'))
        browser.wait('after.textContent')
        page = np.uint8(browser.compute(PIXELS)).reshape(32, 32, 4)
        host.shutdown()
    python = to_array(Translator(tmp_path / 'web')(photo)[0])
    assert np.abs(page[..., :1].astype(int) - python).max() <= 1
    assert (page[..., 0] == page[..., 2]).all()


@pytest.mark.slow
def test_a_file_that_is_chosen_before_the_model_is_there(browser, tmp_path):
    export(tmp_path)
    chosen = threading.Event()

    class SlowHost(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            if self.path.endswith('.wasm'):
                chosen.wait(60)
            super().do_GET()

    handler = functools.partial(SlowHost, directory=str(tmp_path / 'web'))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        browser.send('url', url=f'http://127.0.0.1:{host.server_port}/index.html')
        make_photo(32, 32).save(tmp_path / 'photo.png')
        (field,) = browser.find('#file')
        browser.send(f'{field}/value', text=str(tmp_path / 'photo.png'))
        assert not browser.compute('document.body.dataset.ready || null')
        chosen.set()
        assert browser.wait('after.textContent').endswith(' ms')
        host.shutdown()


def test_a_folder_that_is_no_export(tmp_path, capsys):
    assert main(['page', '--web', str(tmp_path)]) != 0
    assert 'no export for the browser' in capsys.readouterr().err


def make_photo(width, height):
    small = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(small).resize((width, height))


def make_video(path, width, height, frames):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'VP80'), 10, (width, height))
    for _ in range(frames):
        writer.write(np.full((height, width, 3), 99, np.uint8))
    writer.release()
