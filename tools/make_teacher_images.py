"""The command ``mmgan-compress images``."""

from _command import run

if __name__ == '__main__':
    run('images')
