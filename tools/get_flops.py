"""The command ``mmgan-compress flops``."""

from _command import run

if __name__ == '__main__':
    run('flops')
