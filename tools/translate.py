"""The command ``mmgan-compress translate``."""

from _command import run

if __name__ == '__main__':
    run('translate')
