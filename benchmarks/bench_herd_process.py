"""A hundred agents in one process, and what the origin sends to them.

Each has a swarm and an address of its own on the loopback, and they find each
other by a tracker. A process with so many is short of its CPU, so this shows
what becomes of a herd whose messages are slow.

    python benchmarks/bench_herd_process.py --agents 100 --megabytes 3
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from parallelops import load_executor
from parallelops.download import (
    Downloader,
    HTTPSource,
    Image,
    Swarm,
    TorrentWriter,
)


def main() -> None:
    """One run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=100)
    parser.add_argument("--megabytes", type=int, default=3)
    parser.add_argument("--mbit", type=int, default=20)
    arguments, _ = parser.parse_known_args()
    count = arguments.agents
    size = arguments.megabytes * 1_000_000
    with (
        tempfile.TemporaryDirectory() as name,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        data = os.urandom(size)
        (folder / "image").write_bytes(data)

        def start(module: str, *options: str) -> tuple[str, subprocess.Popen]:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", module, *options],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.terminate)
            return process.stdout.readline().strip(), process

        url, origin = start(
            "parallelops.cli.localorigin",
            *(str(folder / "image"), "127.0.0.1:0"),
            str(arguments.mbit * 125_000),
        )
        tracker, _ = start("parallelops", "tracker", "--listen", "127.0.0.1:0")
        writer = TorrentWriter(size)
        writer.update(data)
        image = Image(
            digest="sha512:" + hashlib.sha512(data).hexdigest(),
            torrent=writer.finish([tracker]),
            sources=[HTTPSource(url)],
        )
        executor = stack.enter_context(
            load_executor("thread", max_workers=2 * count)
        )
        swarms = [
            stack.enter_context(Swarm(f"127.0.{1 + n // 200}.{n % 200 + 1}:0"))
            for n in range(count)
        ]
        whole = []

        def agent(number: int) -> None:
            own = folder / str(number)
            own.mkdir()
            downloader = Downloader(executor, swarm=swarms[number])
            whole.append(downloader.fetch(image, own / "image"))

        threads = [
            threading.Thread(target=agent, args=(n,)) for n in range(count)
        ]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
        origin.stdin.close()
        sent = int(origin.stdout.readline())
    print(
        f"{len(whole)} of {count} agents have it after {took:.1f} s; "
        f"origin / image {sent / size:.3f}"
    )


if __name__ == "__main__":
    main()
