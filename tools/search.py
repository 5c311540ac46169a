"""The command ``mmgan-compress search``."""

from _command import run

if __name__ == '__main__':
    run('search')
