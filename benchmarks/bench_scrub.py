"""A scrub against the ideal: all work, spread evenly, at the store's pace."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import harness

from parallelops import AdaptiveLimiter, load_executor
from parallelops.errors import StoreBusy
from parallelops.images import FileStore, Scrubber, SQLiteCatalog

IMAGES = 320
DELAY = 0.05
WORKERS = 16
IDEAL = IMAGES * DELAY / WORKERS
GOAL = 1.10


def seconds(executor: str, folder: Path) -> float:
    """How long one scrub took, in a process of its own."""
    todo = {
        "folder": str(folder),
        "executor": executor,
        "workers": WORKERS,
        "images": IMAGES,
        "delay": DELAY,
    }
    done = subprocess.run(
        [sys.executable, "-m", "parallelops.cli.rehearsal"],
        input=json.dumps(todo),
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads(done.stdout)
    assert not result["failures"], result
    return float(result["seconds"])


class Store(FileStore):
    """Takes its time for each delete, and notes when the first ended."""

    def __init__(self, root: Path, delay: float) -> None:
        super().__init__(root)
        self.delay = delay
        self.first: float | None = None

    def delete(self, url: str) -> None:
        """As slow as it was told to be."""
        time.sleep(self.delay)
        super().delete(url)
        if self.first is None:
            self.first = time.monotonic()


class Limited(FileStore):
    """Answers 429 above 20 calls a second, with a burst of 5."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.lock = threading.Lock()
        self.tokens, self.since = 5.0, time.monotonic()
        self.refused = 0

    def delete(self, url: str) -> None:
        """Refuse it, or do it."""
        with self.lock:
            now = time.monotonic()
            self.tokens = min(self.tokens + (now - self.since) * 20, 5.0)
            self.since = now
            if self.tokens < 1:
                self.refused += 1
                raise StoreBusy("429 Too Many Requests")
            self.tokens -= 1
        super().delete(url)


def fill(folder: Path, images: dict[str, int]) -> SQLiteCatalog:
    """A catalogue with so many deleted images in each store, in order."""
    folder.mkdir()
    catalog = SQLiteCatalog(folder / "catalog.sqlite")
    for age, (store, number) in enumerate(images.items()):
        (folder / store).mkdir()
        (folder / store / "bystander").touch()
        for n in range(number):
            file = folder / store / f"{n:04}"
            file.touch()
            name = f"{store}-{n:04}"
            catalog.add_image(name, [(file.as_uri(), store)])
            catalog.delete_image(name, 1.0 + age)
    return catalog


def first_fast(folder: Path) -> float:
    """Seconds until the first of 100 fast images behind 60 slow ones."""
    with (
        fill(folder, {"slow": 60, "fast": 100}) as catalog,
        load_executor("thread", max_workers=8) as executor,
    ):
        stores = {
            "slow": Store(folder / "slow", 1.0),
            "fast": Store(folder / "fast", 0.0),
        }
        began = time.monotonic()
        report = Scrubber(executor, catalog=catalog, store=stores).run_once()
        assert report.ok, report.summary()
        assert stores["fast"].first is not None
        return stores["fast"].first - began


def limited(folder: Path) -> tuple[float, int]:
    """Seconds for 100 images in a store that refuses, and its refusals."""
    with (
        fill(folder, {"s": 100}) as catalog,
        load_executor("thread", max_workers=WORKERS) as executor,
    ):
        store = Limited(folder / "s")
        report = Scrubber(
            executor, catalog=catalog, store=store, limiter=AdaptiveLimiter()
        ).run_once()
        assert report.ok, report.summary()
        return report.seconds, store.refused


CHILD = """
import json, sys, time
from pathlib import Path
from parallelops import load_executor
from parallelops.images import FileStore, Scrubber, SQLiteCatalog
calls = []
class Store(FileStore):
    def delete(self, url):
        calls.append(url)
        time.sleep(0.05)
        super().delete(url)
folder = Path(sys.argv[1])
with (
    SQLiteCatalog(folder / "catalog.sqlite") as catalog,
    load_executor("thread", max_workers=4) as executor,
):
    scrubber = Scrubber(executor, catalog=catalog, store=Store(folder / "s"))
    print("ready", flush=True)
    sys.stdin.readline()
    assert scrubber.run_once().ok
print(json.dumps(calls))
"""


def together(folder: Path, scrubbers: int) -> float:
    """Seconds for 400 images of 50 ms and so many scrubbers of 4 workers."""
    fill(folder, {"s": 400}).close()
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(scrubbers)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    began = time.monotonic()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    calls: list[str] = []
    for child in children:
        output, _ = child.communicate()
        calls += json.loads(output)
    took = time.monotonic() - began
    assert len(calls) == len(set(calls)) == 400, "a location came twice"
    return took


def main() -> None:
    rounds = harness.rounds_wanted(__doc__, default=5)
    print(
        f"{IMAGES} images, {DELAY * 1000:g} ms a delete, {WORKERS} workers: "
        f"the ideal is {IDEAL:g} s, the goal {GOAL:g} x that"
    )
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for executor in ("thread", "greenthread"):
            took = [
                seconds(executor, root / f"{executor}-{number}") / IDEAL
                for number in range(rounds)
            ]
            print(
                f"{executor:<12} {statistics.median(took):.3f} x the ideal "
                f"({min(took):.3f} to {max(took):.3f})"
            )
        waits = [first_fast(root / f"f{n}") for n in range(min(rounds, 3))]
        print(
            "first of 100 fast images behind 60 slow ones, 8 workers: "
            f"{statistics.median(waits):.3f} s; the goal is 0.3 s"
        )
        runs = [limited(root / f"l{n}") for n in range(min(rounds, 3))]
        ideal = 95 / 20
        print(
            "a store that answers 429 above 20/s, 100 images: "
            f"{statistics.median(s for s, _ in runs) / ideal:.2f} x the "
            f"ideal, {statistics.median(r for _, r in runs):g} refused; the "
            "goals are 1.25 and 10"
        )
        ratios = [
            together(root / f"one{n}", 1) / together(root / f"four{n}", 4)
            for n in range(min(rounds, 3))
        ]
        print(
            "4 scrubbers over one set: each location once, "
            f"{statistics.median(ratios):.2f} x as fast as one; the goal is 3"
        )


if __name__ == "__main__":
    main()
