"""How soon an image that others have is handed on, and what that costs them.

Some have it, and some write it while it comes, all in one process with limits
for what each sends a second. ``--order`` says which pieces are asked for
first: as the library decides, always the first ones, or always the rarest.

    python benchmarks/bench_stream.py --have 1 --want 6 --order rarest
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path

from parallelops import load_executor
from parallelops.download import Downloader, Image, Swarm, TorrentWriter
from parallelops.download.member import Member

PARTS = (0.1, 0.5, 1.0)
take_in_order = Member.take_in_order
ORDERS = {
    "ours": take_in_order,
    "first": lambda member, _: take_in_order(member, True),
    "rarest": lambda member, _: take_in_order(member, False),
}


def main() -> None:
    """One run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--have", type=int, default=1)
    parser.add_argument("--want", type=int, default=1)
    parser.add_argument("--megabytes", type=int, default=16)
    parser.add_argument("--rate", type=int, default=4, help="megabytes")
    parser.add_argument("--order", choices=ORDERS, default="ours")
    arguments, _ = parser.parse_known_args()
    Member.take_in_order = ORDERS[arguments.order]
    data = os.urandom(arguments.megabytes * 1_000_000)
    digest = "sha512:" + hashlib.sha512(data).hexdigest()
    writer = TorrentWriter(len(data))
    writer.update(data)
    torrent = writer.finish()
    with (
        tempfile.TemporaryDirectory() as name,
        contextlib.ExitStack() as stack,
    ):
        count = arguments.have + arguments.want
        folders = [Path(name, str(number)) for number in range(count)]
        swarms = [
            stack.enter_context(
                Swarm(
                    f"127.0.2.{number + 1}:0",
                    upload_limit=arguments.rate * 1_000_000,
                )
            )
            for number in range(count)
        ]
        peers = [
            (f"127.0.2.{number + 1}", swarm.port)
            for number, swarm in enumerate(swarms)
        ]
        for folder in folders:
            folder.mkdir()
        members = []
        for number in range(arguments.have):
            (folders[number] / "data").write_bytes(data)
            members.append(
                swarms[number].join(torrent, folders[number] / "data")
            )
        while not all(all(member.view().have) for member in members):
            time.sleep(0.1)
        executor = stack.enter_context(
            load_executor("thread", max_workers=4 * count)
        )
        image = Image(digest=digest, torrent=torrent, peers=peers)
        times: list[list[float]] = []

        def write(number: int) -> None:
            stream = Downloader(executor, swarm=swarms[number]).stream(
                image, spool=folders[number]
            )
            seen = []
            for _ in stream:
                part = stream.bytes_transferred / len(data)
                while len(seen) < len(PARTS) and part >= PARTS[len(seen)]:
                    seen.append(time.monotonic() - began)
            stream.verify_image()
            times.append(seen)

        threads = [
            threading.Thread(target=write, args=(number,))
            for number in range(arguments.have, count)
        ]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sent = sum(member.view().sent for member in members)
    means = [statistics.mean(each) for each in zip(*times, strict=True)]
    print(
        f"{arguments.order}: "
        + ", ".join(
            f"{part:.0%} after {mean:.1f} s"
            for part, mean in zip(PARTS, means, strict=True)
        )
        + f"; {sent / len(data):.1f} images from those who have it"
    )


if __name__ == "__main__":
    main()
