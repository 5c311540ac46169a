"""The command ``mmgan-compress data``."""

from _command import run

if __name__ == '__main__':
    run('data')
