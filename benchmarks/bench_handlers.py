"""Copies of a file of 1 GiB by the handler of files, against ``cp``.

On a file system with reflinks the goal is under 50 ms; elsewhere, no longer
than ``cp``. By default it is the one of the temporary directory; ``--folder``
says another. With ``--mount``, ``--mount xfs`` or ``--mount ext4`` (as root,
and with its tools installed) one is made in a file, and mounted; the first
two have reflinks.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import harness

from parallelops.images import (
    Fetcher,
    FetchOptions,
    LocationEntry,
    copying,
)

GIB = 1 << 30
MIB = 1 << 20
GOAL = 0.050


@contextlib.contextmanager
def mounted(kind: str) -> Iterator[Path]:
    """A folder on a file system of that kind; exits with the reason."""
    make = shutil.which(f"mkfs.{kind}")
    if os.geteuid():
        sys.exit("skipped: only root can mount a file system")
    if make is None:
        sys.exit(f"skipped: mkfs.{kind} is not installed")
    with tempfile.TemporaryDirectory() as folder:
        image, place = Path(folder, "image"), Path(folder, "mounted")
        place.mkdir()
        with image.open("wb") as file:
            file.truncate(4 * GIB)
        subprocess.run([make, "-q", str(image)], check=True)
        subprocess.run(["mount", "-o", "loop", image, place], check=True)
        try:
            yield place
        finally:
            subprocess.run(["umount", str(place)], check=True)


def timed(call: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def worked(call: Callable[[], object]) -> float:
    """Seconds of processor time that it takes, in other processes too.

    Unlike time itself, it does not tell of what else the machine does.
    """

    def spent() -> float:
        both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        return sum(sum(resource.getrusage(who)[:2]) for who in both)

    began = spent()
    call()
    return spent() - began


def write(path: Path, size: int) -> None:
    """A file of that size, without holes, and on the disk."""
    piece = os.urandom(MIB)
    with path.open("wb") as file:
        for _ in range(size // MIB):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def bare_copy(source: Path, target: Path) -> None:
    """What the handler does, without making it last: as ``cp``."""
    with source.open("rb") as one, target.open("xb") as other:
        copying.copy(one.fileno(), other.fileno(), lambda size: None)


def compare(folder: Path, rounds: int, size: int) -> None:
    """Measure, and say what came of it."""
    source, target = folder / "source", folder / "target"
    write(source, size)
    fetcher = Fetcher(options=FetchOptions(folders=(folder,)))
    location = LocationEntry(url=source.as_uri())

    def side(
        call: Callable[[], object],
        cost: Callable[[Callable[[], object]], float] = timed,
    ) -> harness.Round:
        def one() -> float:
            target.unlink(missing_ok=True)
            os.sync()
            return 1000 * cost(call)

        return one

    def cp(sync: bool) -> None:
        subprocess.run(["cp", source, target], check=True)
        if sync:
            subprocess.run(["sync", target, folder], check=True)

    method = fetcher.fetch([location], target).method
    print(f"{size / MIB:g} MiB by {method} on {folder}")
    harness.report(
        [
            harness.Comparison(
                "copy",
                "ms",
                "cp",
                side(lambda: cp(sync=False)),
                side(lambda: bare_copy(source, target)),
            ),
            harness.Comparison(
                "copy, processor",
                "ms",
                "cp",
                side(lambda: cp(sync=False), worked),
                side(lambda: bare_copy(source, target), worked),
            ),
            harness.Comparison(
                "fetch, on the disk",
                "ms",
                "cp and sync",
                side(lambda: cp(sync=True)),
                side(lambda: fetcher.fetch([location], target)),
            ),
        ],
        rounds,
    )
    if method == "reflink":
        took = [
            side(lambda: fetcher.fetch([location], target))() / 1000
            for _ in range(rounds)
        ]
        print(
            f"a fetch by reflink: {1000 * statistics.median(took):.1f} ms "
            f"(the goal is {1000 * GOAL:g} ms)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--size", type=int, default=GIB, help="bytes")
    parser.add_argument("--folder", type=Path)
    parser.add_argument(
        "--mount",
        nargs="?",
        const="btrfs",
        choices=("btrfs", "ext4", "xfs"),
        help="make one in a file, and mount it",
    )
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        if options.mount:
            folder = stack.enter_context(mounted(options.mount))
        else:
            temporary = tempfile.TemporaryDirectory(dir=options.folder)
            folder = Path(stack.enter_context(temporary))
        compare(folder, options.rounds, options.size)


if __name__ == "__main__":
    main()
