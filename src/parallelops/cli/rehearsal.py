"""One scrub of the demonstration, in a process of its own.

Reads what to do as JSON from standard input, prints what came of it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from parallelops import load_executor, prepare_process

if TYPE_CHECKING:
    from parallelops.executor import Executor
    from parallelops.images import SQLiteCatalog

__all__ = ["main", "make_images", "rehearse"]

GIB = 1 << 30


def main() -> None:
    """Make the images, scrub them, and see what is left."""
    todo = json.load(sys.stdin)
    prepare_process(todo["executor"])  # before anything that it must patch
    folder = Path(todo["folder"])
    folder.mkdir()
    with load_executor(
        todo["executor"], max_workers=todo["workers"]
    ) as executor:
        json.dump(
            rehearse(executor, folder, todo["images"], todo["delay"])
            | {"executor": todo["executor"], "workers": todo["workers"]},
            sys.stdout,
        )


def rehearse(
    executor: Executor, folder: Path, images: int, delay: float
) -> dict[str, object]:
    """Scrub ``images`` images from two stores, one of which takes
    ``delay`` seconds for each delete."""
    from parallelops.images import FileStore, Scrubber, SQLiteCatalog

    class SlowStore(FileStore):
        """As slow as one at the other end of a busy network."""

        def delete(self, url: str) -> None:
            executor.runtime.sleep(delay)
            super().delete(url)

    stores = {}
    for name, kind in (("fast", FileStore), ("slow", SlowStore)):
        (folder / name).mkdir()
        stores[name] = kind(folder / name)
    now = executor.runtime.time()
    with SQLiteCatalog(folder / "catalog.sqlite") as catalog:
        make_images(catalog, folder, images, now)
        report = Scrubber(executor, catalog=catalog, store=stores).run_once()
    left = sum(1 for name in stores for _ in (folder / name).iterdir())
    (folder / "report.json").write_text(json.dumps(report.as_dict()))
    return {
        "images": len(report.images),
        "failures": len(report.failures) + left,
        "seconds": report.seconds,
    }


def make_images(
    catalog: SQLiteCatalog, folder: Path, images: int, now: float
) -> None:
    """Write the files and list them: each image once in the slow store, and
    up to two times in the fast one."""
    from parallelops.cli.imagefiles import write_qcow2, write_raw

    for number in range(images):
        write, suffix = [(write_qcow2, "qcow2"), (write_raw, "raw")][
            number % 2
        ]
        copies = [
            ("slow", f"{number}.{suffix}"),
            ("fast", f"{number}.{suffix}"),
            ("fast", f"{number}-copy.{suffix}"),
        ][: 1 + number % 3]
        for store, name in copies:
            write(folder / store / name, (1 + number % 8) * GIB)
        image_id = f"image-{number}"
        catalog.add_image(
            image_id,
            [
                ((folder / store / name).as_uri(), store)
                for store, name in copies
            ],
        )
        catalog.delete_image(image_id, now)


if __name__ == "__main__":
    main()
