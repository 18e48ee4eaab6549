"""A scrub in a process of its own, of a store that refuses, for ever.

Argument: the file for what it learns.
"""

from __future__ import annotations

import sys

from tests.images.simulated import Bucket, Store, names

from parallelops import load_executor
from parallelops.images import Scrubber, limits
from parallelops.testing import MemoryCatalog

limits._EVERY = 0.1

if __name__ == "__main__":
    with load_executor("thread", max_workers=4) as executor:
        runtime = executor.runtime
        urls = names("a", 5000)
        bucket = Bucket(runtime, None)
        bucket.since = runtime.monotonic()
        Scrubber(
            executor,
            catalog=MemoryCatalog(runtime, {url: [url] for url in urls}),
            store=Store(runtime, urls, bucket),
            limits_file=sys.argv[1],
        ).run_once()
