"""The command ``mmgan-compress sample``."""

from _command import run

if __name__ == '__main__':
    run('sample')
