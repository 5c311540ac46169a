"""Downloads, packages and archives: resumed, verified, kept in place."""

import hashlib
import http.server
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from archives import make_tar, make_zip
from mmgan_compress.datasets import fetch
from mmgan_compress.datasets.archive import extract, members
from mmgan_compress.datasets.fetch import ChecksumError, FetchError, download

ROOT = Path(__file__).resolve().parents[2]
PAYLOAD = bytes(range(256)) * 1000
PAYLOAD_SHA256 = hashlib.sha256(PAYLOAD).hexdigest()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Keep the user's own cache out of the tests."""
    monkeypatch.setenv('MMGAN_COMPRESS_HOME', str(tmp_path / 'home'))
    return tmp_path / 'home'


@pytest.fixture
def server():
    """Serve PAYLOAD with ranges; `requests` notes what was asked for."""

    class Handler(http.server.BaseHTTPRequestHandler):
        requests = []

        def do_GET(self):
            asked = self.headers.get('Range')
            self.requests.append(asked)
            start = int(asked[6:-1]) if asked else 0
            if self.path == '/missing':
                return self.send_error(404)
            if start >= len(PAYLOAD):
                self.send_response(416)
                self.send_header('Content-Range', f'bytes */{len(PAYLOAD)}')
                self.send_header('Content-Length', '0')
                return self.end_headers()
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header(
                    'Content-Range', f'bytes {start}-{len(PAYLOAD) - 1}/{len(PAYLOAD)}'
                )
            self.send_header('Content-Length', str(len(PAYLOAD) - start))
            self.end_headers()
            # "/breaks" closes early, once for each request without a range
            broken = self.path == '/breaks' and not asked
            self.wfile.write(PAYLOAD[start : 200000 if broken else None])

        def log_message(self, *args):
            pass

    httpd = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    httpd.requests = Handler.requests
    httpd.url = f'http://127.0.0.1:{httpd.server_port}'
    yield httpd
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_download(server, tmp_path):
    path = download(f'{server.url}/x', tmp_path / 'x', PAYLOAD_SHA256)
    assert path.read_bytes() == PAYLOAD
    assert download(f'{server.url}/x', path, PAYLOAD_SHA256) == path
    assert server.requests == [None]


@pytest.mark.parametrize('have', [1000, len(PAYLOAD)])
def test_download_resumes(server, tmp_path, have):
    (tmp_path / 'x.part').write_bytes(PAYLOAD[:have])
    path = download(f'{server.url}/x', tmp_path / 'x', PAYLOAD_SHA256)
    assert path.read_bytes() == PAYLOAD
    assert server.requests == [f'bytes={have}-']
    assert not (tmp_path / 'x.part').exists()


def test_download_goes_on_after_a_broken_connection(server, tmp_path):
    path = download(f'{server.url}/breaks', tmp_path / 'x', PAYLOAD_SHA256)
    assert path.read_bytes() == PAYLOAD
    assert len(server.requests) == 2 and server.requests[1] is not None


def test_download_takes_the_next_mirror(server, tmp_path):
    urls = [f'{server.url}/missing', f'{server.url}/x']
    assert download(urls, tmp_path / 'x', PAYLOAD_SHA256).read_bytes() == PAYLOAD
    with pytest.raises(FetchError, match='plain http, and no checksum'):
        download(urls[1:], tmp_path / 'z')
    assert not (tmp_path / 'z.part').exists()
    with pytest.raises(FetchError, match='404'):
        download(urls[:1], tmp_path / 'y', PAYLOAD_SHA256)


def test_wrong_checksum_is_refused(server, tmp_path):
    with pytest.raises(FetchError, match=f'{PAYLOAD_SHA256}, expected 0000'):
        download(f'{server.url}/x', tmp_path / 'x', '0' * 64)
    assert not list(tmp_path.glob('x*'))
    (tmp_path / 'x').write_bytes(b'something else')
    with pytest.raises(ChecksumError, match='Delete it'):
        download(f'{server.url}/x', tmp_path / 'x', PAYLOAD_SHA256)


def test_package_errors_name_the_next_step(home, monkeypatch):
    monkeypatch.setattr(fetch.shutil, 'which', lambda name: None)
    with pytest.raises(FetchError, match=r'Node.js.*\[data\].*npm pack'):
        fetch.fetch_package('npm', 'p@1', 'p-1.tgz', '0' * 64)
    (home / 'packages').mkdir(exist_ok=True, parents=True)
    (home / 'packages' / 'p-1.tgz').write_bytes(b'damaged')
    with pytest.raises(ChecksumError, match='Delete it'):
        fetch.fetch_package('npm', 'p@1', 'p-1.tgz', '0' * 64)


def test_fetching_needs_no_torch():
    code = (
        'import sys; from mmgan_compress.datasets import prepare, weights;'
        ' assert "torch" not in sys.modules'
    )
    subprocess.run([sys.executable, '-c', code], cwd=ROOT, check=True)


@pytest.mark.parametrize('make', [make_zip, make_tar])
@pytest.mark.parametrize('name', ['../out.txt', '/out.txt', 'a/../../out.txt'])
def test_archive_may_not_leave_its_folder(tmp_path, make, name):
    archive = make(tmp_path / 'a', {'good.txt': b'1', name: b'2'})
    with pytest.raises(FetchError, match='outside the target folder'):
        extract(archive, tmp_path / 'in')
    assert not (tmp_path / 'out.txt').exists()


def test_other_files_are_no_archives(tmp_path):
    (tmp_path / 'a.zip').write_bytes(b'<html>not found</html>')
    with pytest.raises(FetchError, match='neither'):
        list(members(tmp_path / 'a.zip'))
