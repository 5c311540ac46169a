"""What the scripts of this folder share; Python looks for it beside them."""

import sys
from pathlib import Path


def run(name: str):
    """Run a command of ``mmgan-compress`` with the words of this process."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from mmgan_compress.cli import main

    sys.exit(main([name, *sys.argv[1:]]))
