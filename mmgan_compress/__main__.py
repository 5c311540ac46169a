"""``python -m mmgan_compress`` and ``python mmgan_compress/__main__.py``."""

import sys
from pathlib import Path

if not __package__:  # started by its path: import the package, not its parts
    sys.path[0] = str(Path(__file__).resolve().parents[1])

if __name__ == '__main__':
    from mmgan_compress.cli import main

    sys.exit(main())
