"""The command ``mmgan-compress teachers``."""

from _command import run

if __name__ == '__main__':
    run('teachers')
