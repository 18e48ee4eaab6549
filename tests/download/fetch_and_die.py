"""Downloads in processes of their own, which somebody kills.

Each line on standard input is a URL, a path, a size and a digest; the answer
is the number of the process, and then, once it has ended, its status.
"""

from __future__ import annotations

import os
import sys

from parallelops import load_executor
from parallelops.download import Downloader, HTTPSource, Image


def main():
    """Fork for each line: a new interpreter takes longer than a download."""
    for line in sys.stdin:
        url, path, size, digest = line.split()
        child = os.fork()
        if not child:
            with load_executor("thread", max_workers=4) as executor:
                Downloader(executor, extent=1 << 19).fetch(
                    Image(
                        size=int(size),
                        digest=digest,
                        sources=[HTTPSource(url)],
                    ),
                    path,
                )
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
