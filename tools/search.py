"""The command ``mmgan-compress search``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from mmgan_compress.cli import main  # noqa: E402

if __name__ == '__main__':
    sys.exit(main(['search', *sys.argv[1:]]))
