"""``python -m parallelops``: the command line."""

from __future__ import annotations

import sys

from parallelops.cli import main

if __name__ == "__main__":
    sys.exit(main())
