"""Glance's own scrubber against ours, on the same real database.

Both delete files of a store of files, each delete slowed down by the same
time, and write to Glance's tables in MariaDB, or in SQLite with an argument
``--sqlite``. It needs Glance: run it by ``nox -s glance -- bench``.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness

ROOT = Path(__file__).parents[1]
WORKERS = 16
# Locations of an image, in turn.
LOCATIONS = (2, 2, 2, 2, 2, 2, 2, 1)
EACH = sum(LOCATIONS) / len(LOCATIONS)


def theirs(config: str, delay: float) -> float:
    """Seconds that Glance's scrubber takes, without its start."""
    import glance_store
    from glance import scrubber
    from glance.common import config as glance_config
    from glance.db.sqlalchemy import api
    from glance_store._drivers import filesystem
    from oslo_config import cfg

    _slow_down(filesystem.Store, delay)
    sys.argv = ["glance-scrubber", "--config-file", config]
    glance_config.parse_args()
    glance_store.register_opts(cfg.CONF)
    glance_store.create_stores(cfg.CONF)
    app = scrubber.Scrubber(glance_store)
    api.get_engine()
    began = time.perf_counter()
    app.run()
    app.executor.shutdown(wait=True)
    return time.perf_counter() - began


def ours(config: str, delay: float) -> float:
    """The same of ours."""
    from parallelops import load_executor
    from parallelops.config import glance as options
    from parallelops.images import FileStore, Scrubber
    from parallelops.integrations.glance import (
        BATCH_SIZE,
        GlanceCatalog,
        GlanceStores,
        reader,
    )

    _slow_down(FileStore, delay)
    conf = options.read([config])
    stores = GlanceStores(conf)
    with (
        GlanceCatalog(
            conf.database.connection, read_url=reader(None, stores.of)
        ) as catalog,
        load_executor("thread", max_workers=WORKERS) as executor,
    ):
        began = time.perf_counter()
        report = Scrubber(
            executor,
            catalog=catalog,
            store=stores.by_name,
            batch_size=BATCH_SIZE,
        ).run_once()
        took = time.perf_counter() - began
    assert report.ok, report.summary()
    return took


def _slow_down(store: type, delay: float) -> None:
    delete = store.delete

    def slow(self: object, *args: object, **kwargs: object) -> object:
        if delay:
            time.sleep(delay)
        return delete(self, *args, **kwargs)

    store.delete = slow


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sqlite", action="store_true")
    parser.add_argument("--images", type=int, default=160)
    parser.add_argument("--child", choices=("theirs", "ours"))
    parser.add_argument("--config")
    parser.add_argument("--delay", type=float, default=0.0)
    chosen = parser.parse_args()
    if chosen.child:
        side = {"theirs": theirs, "ours": ours}[chosen.child]
        print(side(chosen.config, chosen.delay))
        return
    if importlib.util.find_spec("glance") is None:
        print("skipped: Glance is not installed here")
        return
    sys.path.insert(0, str(ROOT))
    from tests.integrations.glance import world

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = None if chosen.sqlite else world.MariaDB(folder)
        url = server.url if server else f"sqlite:///{folder}/glance.sqlite"
        try:
            world.migrate(url, folder)
            glance = world.World(url, folder, scrub_pool_size=WORKERS)
            for delay in (0.0, 0.05):
                compare(glance, chosen, delay)
            glance.close()
        finally:
            if server:
                server.stop()


def compare(glance: object, chosen: argparse.Namespace, delay: float) -> None:
    """Print images a second of both, and the ideal if there is one."""

    def run(side: str, images: int) -> float:
        glance.empty()
        ids = glance.many_deleted(images, LOCATIONS)
        done = subprocess.run(
            [
                *(sys.executable, "-W", "ignore", __file__),
                *("--child", side, "--config", str(glance.config)),
                *("--delay", str(delay)),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        left = [i for i in ids if glance.status(i)[0] != "deleted"]
        if left:
            print(f"{side} left {len(left)} of {images} images")
        return images / float(done.stdout.split()[-1])

    pairs = harness.interleave(
        lambda: run("theirs", chosen.images),
        # Enough of them to last for a while.
        lambda: run("ours", chosen.images * (3 if delay else 8)),
        chosen.rounds,
    )
    their = statistics.median(pair[0] for pair in pairs)
    our = statistics.median(pair[1] for pair in pairs)
    ratio = statistics.median(our / their for their, our in pairs)
    line = (
        f"{'SQLite' if chosen.sqlite else 'MariaDB'}, {delay * 1000:g} ms, "
        f"{WORKERS} workers: Glance {their:.1f} images/s, ours {our:.1f}, "
        f"{ratio:.1f} x"
    )
    if delay:
        ideal = WORKERS / (delay * EACH)
        line += f"; {our / ideal:.2f} of the ideal {ideal:.0f}"
    print(line, flush=True)


if __name__ == "__main__":
    main()
