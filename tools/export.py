"""The command ``mmgan-compress export``."""

from _command import run

if __name__ == '__main__':
    run('export')
