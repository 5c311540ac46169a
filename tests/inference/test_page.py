"""The page to try a student on: by requests, and in a real browser."""

import base64
import contextlib
import io
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

import numpy as np
import pytest
import requests
from PIL import Image, PngImagePlugin

from browsers import free_port, wait_for
from mmgan_compress import Translator
from students import REPO, make_student, refused_by_tool

werkzeug_test = pytest.importorskip('werkzeug.test')


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('models')
    make_student(folder / 'student.pth', 'separable')
    make_student(folder / 'teacher.pth', 'resnet', seed=1)
    photo(64, 48).save(folder / 'example.png')
    return folder


@pytest.fixture(scope='module')
def page(files):
    from mmgan_compress.inference.page import TryPage

    models = {name: Translator(files / f'{name}.pth') for name in ('teacher', 'student')}
    return TryPage(models, [files / 'example.png'], ['localhost'])


@pytest.fixture
def client(page):
    return werkzeug_test.Client(page)


def photo(width, height, seed=0):
    draw = np.random.default_rng(seed)
    small = draw.integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(small).resize((width, height))


def encoded(image, kind='PNG', **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return file


def shown(text):
    """Return the pictures of the results by title, and the captions."""
    results = text.partition('<div id="results">')[2]
    found = re.findall(
        r'alt="(.*?)" src="data:image/png;base64,(.*?)".*?<br>'
        '(.*?)</figcaption>',
        results,
    )
    images = {title: Image.open(io.BytesIO(base64.b64decode(data))) for title, data, _ in found}
    return images, {title: caption for title, _, caption in found}


def send(client, file, name='photo.png'):
    return client.post('/', data=dict(image=(file, name)))


def test_both_models_and_their_times(client, page):
    image = photo(61, 47)
    response = send(client, encoded(image))
    assert response.status_code == 200
    images, captions = shown(response.text)
    assert list(images) == ['input', 'teacher', 'student']
    for name, model in page.models.items():
        assert np.array_equal(images[name], model(image)[0])
    assert captions['input'] == '61x47'
    assert re.fullmatch(r'[\d.]+ ms in eager', captions['teacher'])
    assert re.fullmatch(r'[\d.]+ ms in eager, [\d.]+ times as fast', captions['student'])


def test_the_first_picture_of_a_size_is_not_timed_cold(client, page):
    """What a runtime prepares for a size would count for one model alone."""
    sizes = []
    for model in page.models.values():
        model.run = lambda pixels, run=model.run: (sizes.append(pixels.shape[1:3]), run(pixels))[1]
    for _ in range(2):
        send(client, encoded(photo(50, 40)))
    assert sizes == [(40, 50)] * 6  # two models: once before, twice timed


def test_examples(client, files):
    response = client.get('/')
    assert response.status_code == 200 and 'value="0"' in response.text
    assert "default-src 'none'" in response.headers['Content-Security-Policy']
    images, _ = shown(client.post('/', data=dict(example='0')).text)
    assert np.array_equal(images['input'], Image.open(files / 'example.png'))
    for wrong in ('1', '-1', '<b>'):
        response = client.post('/', data=dict(example=wrong))
        assert response.status_code == 400 and '<b>' not in response.text


def test_pictures_are_made_anew(client):
    facts = PngImagePlugin.PngInfo()
    facts.add_text('place', 'at home')
    sent = encoded(photo(2100, 300), pnginfo=facts)
    assert b'at home' in sent.getvalue()
    response = send(client, sent)
    images, _ = shown(response.text)
    assert {i.size for i in images.values()} == {(1024, 146)}
    assert b'at home' not in b''.join(encoded(image).getvalue() for image in images.values())
    assert all('place' not in image.info for image in images.values())


@pytest.mark.parametrize(
    'content, words',
    [
        (b'no picture', 'no picture that can be read'),
        (encoded(photo(40, 40)).getvalue()[:200], 'no picture that can be read'),
        (encoded(photo(40, 40), 'GIF').getvalue(), 'no picture that can be read'),
        (encoded(Image.new('L', (9000, 6000))).getvalue(), 'at most 50000000'),
    ],
)
def test_what_is_no_picture(client, content, words):
    response = send(client, io.BytesIO(content))
    assert response.status_code == 400 and words in response.text


def test_a_huge_edge_is_refused_before_decoding(client):
    """An image of one column has a row for each pixel: six seconds of work
    on a megabyte."""
    header = struct.pack('>IIBBBBB', 1, 50_000_000, 8, 0, 0, 0, 0)
    chunk = b'IHDR' + header
    png = (
        b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + chunk + struct.pack('>I', zlib.crc32(chunk))
    )
    data = zlib.compress(bytes(100_000), 9)
    png += (
        struct.pack('>I', len(data))
        + b'IDAT'
        + data
        + struct.pack('>I', zlib.crc32(b'IDAT' + data))
    )
    response = send(client, io.BytesIO(png))
    assert response.status_code == 400
    assert '1x50000000: expected' in response.text


@pytest.fixture
def server():
    """Return the address of a server with tight bounds."""
    from werkzeug.serving import make_server

    from mmgan_compress.inference.page import bounded_handler

    def page(environ, start_response):
        start_response('200 OK', [])
        return [b'here']

    server = make_server(
        '127.0.0.1', 0, page, threaded=True, request_handler=bounded_handler(0.4, 0.8, 2)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address
    server.shutdown()
    server.server_close()


def gone(connection):
    """Tell whether the server has ended a connection, within seconds."""
    connection.settimeout(5)
    try:
        return connection.recv(1) == b''
    except ConnectionError:
        return True


def test_slow_clients_are_cut_off(server):
    url = 'http://{}:{}/'.format(*server)
    assert requests.get(url).text == 'here'
    with socket.create_connection(server) as silent, socket.create_connection(server) as slow:
        slow.sendall(b'GET / HTTP/1.1\r\n')
        time.sleep(0.2)
        assert requests.get(url).status_code == 503  # there are two already
        with contextlib.suppress(ConnectionError):  # a byte now and then
            for _ in range(20):
                time.sleep(0.1)
                slow.sendall(b'X')
        assert gone(silent) and gone(slow)
    assert requests.get(url).text == 'here'


def test_refused_requests(client):
    assert send(client, io.BytesIO(b''), '').status_code == 400
    large = send(client, io.BytesIO(bytes(17 * 2**20)))
    assert large.status_code == 413 and 'larger than 16 MB' in large.text
    assert client.get('/etc/passwd').status_code == 404
    assert client.put('/').status_code == 405
    foreign = client.get('/', headers=dict(Host='example.org'))
    assert foreign.status_code == 400 and 'value="0"' in foreign.text


def test_tool_refuses_what_is_no_model(tmp_path, monkeypatch):
    message = refused_by_tool('demo_page', '--student', tmp_path / 'a.pth', monkeypatch=monkeypatch)
    assert 'no student file at' in message


@pytest.mark.slow
def test_in_a_browser(browser, files):
    port = free_port()
    tool = [sys.executable, REPO / 'tools' / 'demo_page.py', '--port', str(port)]
    process = subprocess.Popen(
        [*tool, '--student', files / 'student.pth', '--teacher', files / 'teacher.pth'],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(f'http://127.0.0.1:{port}/', process)
        browser.send('url', url=f'http://127.0.0.1:{port}/')
        assert browser.read('title') == 'Try the student'
        assert len(browser.find('button[name=example]')) == 8
        (field,) = browser.find('input[type=file]')
        browser.send(f'{field}/value', text=str(files / 'example.png'))
        (button,) = browser.find('#translate')
        browser.send(f'{button}/click')
        figures = browser.find('#results figure')
        texts = [browser.read(f'{figure}/text') for figure in figures]
        assert [text.split()[0] for text in texts] == ['input', 'teacher', 'student']
        assert 'ms in eager' in texts[1] and 'times as fast' in texts[2]
        for image in browser.find('#results img'):  # it was really decoded
            assert browser.read(f'{image}/property/naturalWidth') == 64
    finally:
        process.terminate()
        process.wait()
