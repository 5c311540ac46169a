"""The command ``mmgan-compress quantize``."""

from _command import run

if __name__ == '__main__':
    run('quantize')
