"""The command ``mmgan-compress weights``."""

from _command import run

if __name__ == '__main__':
    run('weights')
