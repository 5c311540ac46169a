"""The command ``mmgan-compress pipeline``."""

from _command import run

if __name__ == '__main__':
    run('pipeline')
