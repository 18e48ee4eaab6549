"""Glance's own scrubber against ours, on the same real database.

Both delete files of a store of files, each delete slowed down by the same
time, and write to Glance's tables in MariaDB, or in SQLite with an argument
``--sqlite``. A bare pool, which only makes the same deletes, shows what the
machine lets through at this moment. And four scrubbers of ours share what one
has to itself. It needs Glance: run it by ``nox -s glance -- bench``.
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
from typing import Any

import harness

ROOT = Path(__file__).parents[1]
WORKERS = 16
# Of each of those that share the work, and of the one that does not.
FEW, TOGETHER = 4, 4
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


def bare(config: str, delay: float) -> float:
    """The same of a standard pool that records nothing."""
    from concurrent.futures import ThreadPoolExecutor

    from parallelops.config import glance as options

    conf = options.read([config])
    with _connected(conf.database.connection) as connection:
        rows = connection.exec_driver_sql(
            "SELECT image_id, value FROM image_locations"
        ).all()
    images: dict[str, list[str]] = {}
    for image_id, url in rows:
        images.setdefault(image_id, []).append(url.removeprefix("file://"))

    def delete(paths: list[str]) -> None:
        for path in paths:
            time.sleep(delay)
            Path(path).unlink()

    with ThreadPoolExecutor(WORKERS) as executor:
        began = time.perf_counter()
        for _ in executor.map(delete, images.values()):
            pass
        return time.perf_counter() - began


def _connected(url: str) -> Any:
    """A connection to a database."""
    import sqlalchemy

    return sqlalchemy.create_engine(url).connect()


def ours(config: str, delay: float) -> float:
    """The same of ours."""
    return _scrub(config, delay, WORKERS)


def one_of_ours(config: str, delay: float) -> float:
    """The same of one with few workers, which begins when it is told."""
    return _scrub(config, delay, FEW, told=True)


def _scrub(
    config: str, delay: float, workers: int, *, told: bool = False
) -> float:
    from parallelops import load_executor
    from parallelops.config import glance as options
    from parallelops.images import FileStore, Outcome, Scrubber
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
        load_executor("thread", max_workers=workers) as executor,
    ):
        if told:
            print("ready", flush=True)
            sys.stdin.readline()
        began = time.perf_counter()
        report = Scrubber(
            executor,
            catalog=catalog,
            store=stores.by_name,
            batch_size=BATCH_SIZE,
        ).run_once()
        took = time.perf_counter() - began
    assert report.ok, report.summary()
    # What another had deleted would be gone.
    deleted = report.counts[Outcome.DELETED]
    assert deleted == len(report.results), report.summary()
    return took


def _slow_down(store: type, delay: float) -> None:
    delete = store.delete

    def slow(self: object, *args: object, **kwargs: object) -> object:
        if delay:
            time.sleep(delay)
        return delete(self, *args, **kwargs)

    store.delete = slow


SIDES = {"theirs": theirs, "ours": ours, "one": one_of_ours, "bare": bare}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sqlite", action="store_true")
    parser.add_argument("--images", type=int, default=160)
    parser.add_argument("--child", choices=tuple(SIDES))
    parser.add_argument("--config")
    parser.add_argument("--delay", type=float, default=0.0)
    chosen = parser.parse_args()
    if chosen.child:
        print(SIDES[chosen.child](chosen.config, chosen.delay))
        return
    if importlib.util.find_spec("glance") is None:
        print("skipped: Glance is not installed here")
        return
    sys.path.insert(0, str(ROOT))
    from tests.integrations.glance import servers, world

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = None if chosen.sqlite else servers.MariaDB(folder)
        url = server.url if server else f"sqlite:///{folder}/glance.sqlite"
        try:
            world.migrate(url, folder)
            glance = world.World(url, folder, scrub_pool_size=WORKERS)
            for delay in (0.0, 0.05):
                compare(glance, chosen, delay)
            share(glance, chosen)
            glance.close()
        finally:
            if server:
                server.stop()


def start(glance: Any, side: str, delay: float) -> subprocess.Popen[str]:
    """One side, in a process of its own."""
    return subprocess.Popen(
        [
            *(sys.executable, "-W", "ignore", __file__),
            *("--child", side, "--config", str(glance.config)),
            *("--delay", str(delay)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def seconds(child: subprocess.Popen[str]) -> float:
    """What it took, as it says when it has ended."""
    output, _ = child.communicate()
    assert child.returncode == 0
    return float(output.split()[-1])


def compare(glance: Any, chosen: argparse.Namespace, delay: float) -> None:
    """Print images a second of both, and the ideal if there is one."""

    def run(side: str, images: int) -> float:
        glance.empty()
        glance.many_deleted(images, LOCATIONS)
        took = seconds(start(glance, side, delay))
        left = glance.rows("images", status="pending_delete")
        if left and side != "bare":
            print(f"{side} left {len(left)} of {images} images")
        return images / took

    # Enough of them to last for a while.
    many = chosen.images * (3 if delay else 8)
    pairs = harness.interleave(
        lambda: run("theirs", chosen.images),
        lambda: run("ours", many),
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
        pairs = harness.interleave(
            lambda: run("bare", many), lambda: run("ours", many), chosen.rounds
        )
        share = statistics.median(our / bare for bare, our in pairs)
        line += (
            f"; {our / ideal:.2f} of the ideal {ideal:.0f}, "
            f"{share:.2f} of a bare pool in the same run"
        )
    print(line, flush=True)


def share(glance: Any, chosen: argparse.Namespace) -> None:
    """Print how much faster several scrubbers are than one."""

    def run(scrubbers: int) -> float:
        glance.empty()
        glance.many_deleted(chosen.images * 3, LOCATIONS)
        children = [start(glance, "one", 0.05) for _ in range(scrubbers)]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()
        took = max([seconds(child) for child in children])
        assert not glance.rows("images", status="pending_delete")
        return took

    pairs = harness.interleave(
        lambda: run(1), lambda: run(TOGETHER), chosen.rounds
    )
    one = statistics.median(pair[0] for pair in pairs)
    several = statistics.median(pair[1] for pair in pairs)
    ratio = statistics.median(one / several for one, several in pairs)
    print(
        f"50 ms, {FEW} workers each: one scrubber {one:.2f} s, {TOGETHER} of "
        f"them {several:.2f} s, {ratio:.1f} x; each location once",
        flush=True,
    )


if __name__ == "__main__":
    main()
