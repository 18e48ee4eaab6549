"""Record a trace of a scrub: 40 images in real files, with 4 workers.

python record.py TRACE
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from parallelops import load_executor
from parallelops.cli.rehearsal import rehearse
from parallelops.observe import ChromeTrace

IMAGES = 40
WORKERS = 4
DELAY = 0.02  # seconds that a delete in the slow store takes


def main(path: str) -> None:
    """Scrub once, and write what happened to ``path``."""
    with (
        tempfile.TemporaryDirectory() as folder,
        ChromeTrace(path) as trace,
        load_executor(
            "thread", max_workers=WORKERS, name="scrub", observers=[trace]
        ) as executor,
    ):
        rehearse(executor, Path(folder), IMAGES, DELAY)


if __name__ == "__main__":
    main(*sys.argv[1:])
