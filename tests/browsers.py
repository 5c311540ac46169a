"""A real browser, by chromedriver."""

import socket
import time

import requests


class Browser:
    """A headless Chromium, by the WebDriver protocol."""

    def __init__(self, url, folder):
        self.url = url
        flags = [
            '--headless',
            '--no-sandbox',
            '--disable-gpu',
            '--disable-background-networking',
            '--no-first-run',
            # a moving test picture is the camera
            '--use-fake-device-for-media-stream',
            '--use-fake-ui-for-media-stream',
            f'--user-data-dir={folder}',
        ]
        options = {'goog:chromeOptions': dict(args=flags)}
        answer = requests.post(
            f'{url}/session', json=dict(capabilities=dict(alwaysMatch=options))
        ).json()['value']
        self.url = f'{url}/session/{answer["sessionId"]}'
        # a click may return before the next page is there
        self.send('timeouts', implicit=60000)

    def send(self, what, **data):
        response = requests.post(f'{self.url}/{what}', json=data)
        assert response.ok, response.text
        return response.json()['value']

    def read(self, what):
        return requests.get(f'{self.url}/{what}').json()['value']

    def compute(self, script):
        return self.send('execute/sync', script=f'return {script}', args=[])

    def wait(self, script):
        """Wait until a value of the page is true, and return it."""
        for _ in range(600):
            if value := self.compute(script):
                return value
            time.sleep(0.1)
        raise TimeoutError(script)

    def find(self, css):
        found = self.send('elements', using='css selector', value=css)
        return [f'element/{next(iter(each.values()))}' for each in found]


def free_port():
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


def wait_for(url, process):
    for _ in range(600):
        assert process.poll() is None, 'it ended'
        try:
            return requests.get(url, timeout=5)
        except requests.ConnectionError:
            time.sleep(0.1)
    raise TimeoutError(url)
