#!/bin/sh
# Print the first Python 3.11 or 3.12 found. Not every name on PATH works:
# version managers put names there for versions that are switched off.
for name in python3.11 python3.12 python3 python; do
    if "$name" -c 'import sys, venv; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null; then
        echo "$name"
        exit 0
    fi
done
