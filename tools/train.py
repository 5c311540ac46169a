"""The command ``mmgan-compress train``."""

from _command import run

if __name__ == '__main__':
    run('train')
