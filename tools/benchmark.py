"""The command ``mmgan-compress benchmark``."""

from _command import run

if __name__ == '__main__':
    run('benchmark')
