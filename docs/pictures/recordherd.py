"""Record how an image comes to a herd: what from the origin, what from others.

    python recordherd.py RESULTS [AGENTS [MEGABYTES]]

All agents begin at the same time, each with a swarm of its own. The origin
sends 8 MB a second in all, and so does each agent. ``RESULTS`` is JSON by
lines. The first says how many agents there are, the bytes of the image, and
those that the origin sends in a second; each other one the seconds, the bytes
that the agents have in all, and those of them that are from the origin.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
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
    Register,
    Swarm,
    TorrentWriter,
    Tracker,
)

RATE = 8_000_000  # bytes a second
TICK = 0.05  # seconds


class Watched(HTTPSource):
    """A source of which is known what has come from it."""

    def __init__(self, url):
        super().__init__(url)
        self.origins = []

    def open(self, runtime, size):
        self.origins.append(super().open(runtime, size))
        return self.origins[-1]

    def received(self):
        """Bytes that have come."""
        return sum(origin.received for origin in self.origins)


class Agent(threading.Thread):
    """One that wants the image; ``has`` bytes of it by now."""

    def __init__(self, downloader, image, url, path):
        super().__init__()
        self.has = 0
        self.source = Watched(url)
        self.image = Image(sources=[self.source], **image)
        self.downloader, self.path = downloader, path

    def run(self):
        """Get the image."""
        self.path.parent.mkdir()
        self.downloader.fetch(self.image, self.path, progress=self.tell)

    def tell(self, progress):
        """How far it is."""
        self.has = progress.done

    def read(self):
        """Bytes of what it has that are from the origin."""
        return min(self.has, self.source.received())


@contextlib.contextmanager
def herd(folder, agents, size):
    """So many agents that are about to begin."""
    data = os.urandom(size)
    (folder / "image").write_bytes(data)
    writer = TorrentWriter(size)
    writer.update(data)
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "parallelops.cli.localorigin"),
                    *(str(folder / "image"), "127.0.0.1:0", str(RATE)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(origin.terminate)
        url = origin.stdout.readline().strip()
        executor = stack.enter_context(
            load_executor("thread", max_workers=4 * agents + 16)
        )
        tracker = stack.enter_context(
            Tracker(executor, Register(executor.runtime), "127.0.0.1:0")
        )
        executor.submit(tracker.serve)
        image = {
            "digest": "sha512:" + hashlib.sha512(data).hexdigest(),
            "torrent": writer.finish([tracker.url]),
        }
        swarms = [
            stack.enter_context(
                Swarm(f"127.0.0.{number + 10}:0", upload_limit=RATE)
            )
            for number in range(agents)
        ]
        yield [
            Agent(
                Downloader(executor, swarm=swarm),
                image,
                url,
                folder / str(number) / "image",
            )
            for number, swarm in enumerate(swarms)
        ]


def main(results: str, agents: str = "8", megabytes: str = "24") -> None:
    """Record one herd."""
    size = int(megabytes) * 1_000_000
    with (
        tempfile.TemporaryDirectory() as name,
        herd(Path(name), int(agents), size) as every,
        Path(results).open("w") as file,
    ):
        print(json.dumps([len(every), size, RATE]), file=file)
        began = time.monotonic()
        for agent in every:
            agent.start()
        going = True
        while going:
            going = any(agent.is_alive() for agent in every)
            has = sum(agent.has for agent in every)
            read = sum(agent.read() for agent in every)
            now = time.monotonic() - began
            print(json.dumps([now, has, read]), file=file)
            time.sleep(TICK)
        if has < len(every) * size:
            sys.exit("an agent has not got the image")


if __name__ == "__main__":
    main(*sys.argv[1:])
