"""One download from an origin on this machine, against curl and sha512sum,
and against aria2 if that is here.

All end with a file that was compared with its digest; the others do not sync
it, and ours does. Each side is a process of its own, so starting it is in the
figures: seconds, and seconds of all its CPU.

    python benchmarks/bench_download.py --megabytes 1024 --rounds 5
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import resource
import shutil
import socketserver
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

FETCH = """
import sys
from parallelops import load_executor
from parallelops.download import Downloader, HTTPSource, Image
url, digest, path = sys.argv[1:]
with load_executor("thread", max_workers=4) as executor:
    image = Image(digest=digest, sources=[HTTPSource(url)])
    Downloader(executor).fetch(image, path)
"""


@contextlib.contextmanager
def origin(file: Path):
    """Sends ranges of a file without looking at them; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def do_GET(self):
            size = file.stat().st_size
            begin, end = 0, size
            asked = self.headers["Range"]
            if asked:
                first, last = asked.removeprefix("bytes=").split("-")
                begin, end = int(first), min(int(last) + 1, size)
            self.send_response(206 if asked else 200)
            if asked:
                shown = f"bytes {begin}-{end - 1}/{size}"
                self.send_header("Content-Range", shown)
            self.send_header("Content-Length", str(end - begin))
            self.end_headers()
            with file.open("rb") as data:
                self.connection.settimeout(None)
                while begin < end:
                    begin += os.sendfile(
                        self.connection.fileno(),
                        data.fileno(),
                        begin,
                        end - begin,
                    )

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *args):
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/image"
        server.shutdown()


def cost(*commands: list[str]) -> tuple[float, float]:
    """Seconds on the clock, and of the CPU."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    for command in commands:
        subprocess.run(command, check=True, capture_output=True)
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took, cpu


def main() -> None:
    """All sides."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    arguments, _ = parser.parse_known_args()
    if not shutil.which("curl"):
        print("not run: curl is not here")
        return
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as name:
        folder = Path(name)
        image = folder / "image"
        with image.open("wb") as file:
            for _ in range(arguments.megabytes):
                file.write(os.urandom(1 << 20))
        with image.open("rb") as file:
            made = hashlib.file_digest(file, "sha512").hexdigest()
        costs = measure(folder, image, made, arguments.rounds)
    ours = costs.pop("ours")
    for peer, theirs in costs.items():
        for number, what in enumerate(("seconds", "CPU seconds")):
            show(
                f"{peer}, {what}",
                [each[number] for each in theirs],
                [each[number] for each in ours],
            )


def measure(
    folder: Path, image: Path, digest: str, rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """All sides in turns; what each round cost, by side."""
    path = folder / "copy"
    with origin(image) as url:
        sides = {
            "curl and sha512sum": [
                ["curl", "-sf", "-o", str(path), url],
                ["sha512sum", str(path)],
            ],
            "aria2": [
                [
                    *("aria2c", "--quiet", "--no-conf", "--split=4"),
                    *(
                        "--max-connection-per-server=4",
                        "--file-allocation=none",
                    ),
                    *(f"--checksum=sha-512={digest}", f"--dir={folder}"),
                    *(f"--out={path.name}", url),
                ]
            ],
            "ours": [
                [
                    sys.executable,
                    "-c",
                    FETCH,
                    url,
                    f"sha512:{digest}",
                    str(path),
                ]
            ],
        }
        if not shutil.which("aria2c"):
            print("without aria2: it is not here")
            del sides["aria2"]
        costs = {side: [] for side in sides}
        for _ in range(rounds):
            for side, commands in sides.items():
                costs[side].append(cost(*commands))
                path.unlink()
    return costs


def show(what: str, theirs: list[float], ours: list[float]) -> None:
    """One line."""
    ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
    print(
        f"{what:<32} theirs {statistics.median(theirs):.2f}, "
        f"ours {statistics.median(ours):.2f}, "
        f"ours / theirs {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f})"
    )


if __name__ == "__main__":
    main()
