"""Glance's images in a real Swift that limits its callers, scrubbed.

The limits are those of Swift's own middleware, which has callers wait and
refuses those beyond with 498; and of an nginx in front of it, which refuses
with 429. Glance's own scrubber has its turn where it is asked for. It needs
all that the tests need: run it by ``nox -s services -- bench``.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

GLANCE = ROOT / "benchmarks" / "bench_glance.py"
LINE = "{:<24} {:>7} {:>8} {:>8.2f} {:>8.2f} {:>8.1%} {:>5}"
HEAD = "{:<24} workers      who  seconds  x ideal  refused  left"

SWIFT_RATE = 10
NGINX_BURST = 5


class Bench:
    """One place to sign in to, and its limit."""

    def __init__(self, name, swift, world, count, ideal):
        self.name = name
        self.swift = swift
        self.world = world
        self.count = count
        self.ideal = ideal

    def run(self, workers, scrub):
        """Scrub once by ``scrub(workers)``; print a line."""
        from tests.services import swiftglance

        container = f"bench{time.monotonic_ns()}"
        swiftglance.deleted(
            self.world, self.swift.proxy, container, self.count
        )
        who, seconds, refused = scrub(workers)
        left = len(self.swift.proxy.names(container))
        tried = self.count - left + (refused or 0)
        print(
            LINE.format(
                self.name,
                workers,
                who,
                seconds,
                seconds / self.ideal,
                (refused or 0) / max(tried, 1),
                left,
            ),
            flush=True,
        )

    def ours(self, workers):
        """Of ours: the seconds, and how many deletes were refused."""
        from parallelops.events import StoreThrottled

        seen = Counter()
        report = self.world.scrub(
            workers, observers=[lambda event: seen.update([type(event)])]
        )
        return "ours", report.seconds, seen[StoreThrottled]

    def theirs(self, workers):
        """Of Glance's; nobody counts what its client was refused."""
        self.world.write_config(scrub_pool_size=workers)
        command = [sys.executable, "-W", "ignore", GLANCE]
        done = subprocess.run(
            [*command, "--child", "theirs", "--config", self.world.config],
            capture_output=True,
            text=True,
            check=True,
        )
        return "Glance", float(done.stdout.split()[-1]), None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--objects", type=int, default=100)
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[1, 4, 16, 64]
    )
    parser.add_argument("--waits", type=float, nargs="*", default=[60.0, 1.0])
    parser.add_argument("--rate", type=int, default=20, help="of nginx")
    parser.add_argument("--glance", action="store_true")
    chosen = parser.parse_args()
    for name in ("swift", "swiftclient", "glance"):
        if importlib.util.find_spec(name) is None:
            print(f"skipped: {name} is not installed here")
            return
    from tests.services import nginx
    from tests.services.processes import free_ports
    from tests.services.swift import Swift, missing

    print(HEAD.format("limit"))
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if lacks := missing(folder) or nginx.missing():
            print(f"skipped: {lacks}")
            return
        swift = Swift(folder / "swift")
        stack.callback(swift.stop)

        def bench(name, auth, ideal):
            from tests.services import swiftglance

            here = folder / name.replace(" ", "-")
            here.mkdir()
            world = swiftglance.make(here, auth)
            stack.callback(world.close)
            each = Bench(name, swift, world, chosen.objects, ideal)
            for workers in chosen.workers * chosen.rounds:
                each.run(workers, each.ours)
                if chosen.glance:
                    each.run(workers, each.theirs)

        # What this machine can do, and so no ideal.
        bench("none", swift.proxy.auth, float("nan"))
        for wait in chosen.waits:
            proxy = swift.limited(
                container_ratelimit_0=SWIFT_RATE, max_sleep_time_seconds=wait
            )
            bench(
                f"Swift waits up to {wait:g} s",
                proxy.auth,
                chosen.objects / SWIFT_RATE,
            )
        (port,) = free_ports(1)
        (folder / "nginx").mkdir()
        limit = nginx.LIMIT.format(
            port=port,
            rate=chosen.rate,
            burst=NGINX_BURST,
            behind=swift.proxy.port,
        )
        stack.enter_context(nginx.running(folder / "nginx", port, limit))
        bench(
            "nginx answers 429",
            f"http://127.0.0.1:{port}/v3",
            (chosen.objects - NGINX_BURST) / chosen.rate,
        )


if __name__ == "__main__":
    main()
