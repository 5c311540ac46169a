"""The command ``mmgan-compress prune``."""

from _command import run

if __name__ == '__main__':
    run('prune')
