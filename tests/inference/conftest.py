import shutil
import subprocess

import pytest
import requests

from browsers import Browser, free_port, wait_for


@pytest.fixture
def browser(tmp_path):
    driver = shutil.which('chromedriver')
    if not driver:
        pytest.skip('no chromedriver: install chromium and chromium-driver')
    port = free_port()
    process = subprocess.Popen([driver, f'--port={port}'], stdout=subprocess.DEVNULL)
    browser = None
    try:
        wait_for(f'http://127.0.0.1:{port}/status', process)
        browser = Browser(f'http://127.0.0.1:{port}', tmp_path / 'profile')
        yield browser
    finally:
        if browser:
            requests.delete(browser.url)
        process.terminate()
        process.wait()
