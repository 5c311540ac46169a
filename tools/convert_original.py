"""The command ``mmgan-compress convert``."""

from _command import run

if __name__ == '__main__':
    run('convert')
