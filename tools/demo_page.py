"""The command ``mmgan-compress page``."""

from _command import run

if __name__ == '__main__':
    run('page')
