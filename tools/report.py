"""The command ``mmgan-compress report``."""

from _command import run

if __name__ == '__main__':
    run('report')
