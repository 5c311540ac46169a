"""The command ``mmgan-compress demo``."""

from _command import run

if __name__ == '__main__':
    run('demo')
