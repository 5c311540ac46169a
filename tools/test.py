"""The command ``mmgan-compress test``."""

from _command import run

if __name__ == '__main__':
    run('test')
