"""What ``parallelops scrub --glance-config`` does its work on."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, Any

from parallelops.images.daemon import run_forever

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from parallelops.executor import Executor
    from parallelops.images import Scrubber, ScrubReport
    from parallelops.integrations.glance import GlanceCatalog, GlanceStores
    from parallelops.runtime import Runtime

__all__ = ["add_to", "opened", "restore", "scrub", "stopped_by_signals"]

_LOOK = 0.2  # seconds


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments, which have the names of glance-scrubber's."""
    glance = parser.add_argument_group(
        "Glance", "scrub the database and the stores of a Glance"
    )
    glance.add_argument(
        "--glance-config",
        action="append",
        default=[],
        metavar="FILE",
        help="read this file of Glance's, such as "
        "/etc/glance/glance-scrubber.conf; may be repeated",
    )
    glance.add_argument(
        "-D",
        "--daemon",
        action="store_true",
        help="scrub every wakeup_time seconds, until SIGTERM",
    )
    glance.add_argument(
        "--restore",
        metavar="IMAGE_ID",
        help="make this deleted image active again, instead of scrubbing",
    )
    glance.add_argument(
        "--lock-file",
        metavar="FILE",
        help="claim images by this file, among the scrubbers of one machine; "
        "by default by locks of the database server",
    )


@contextlib.contextmanager
def opened(
    conf: Any, lock_file: str | None, runtime: Runtime
) -> Iterator[tuple[GlanceCatalog, GlanceStores]]:
    """The catalogue and the stores of a Glance."""
    from parallelops.integrations.glance import (
        GlanceCatalog,
        GlanceStores,
        reader,
    )

    stores = GlanceStores(conf, runtime=runtime)
    with GlanceCatalog(
        conf.database.connection,
        read_url=reader(conf.metadata_encryption_key, stores.of),
        lock_path=lock_file,
        runtime=runtime,
    ) as catalog:
        stores.sample = catalog.sample
        yield catalog, stores


def restore(
    catalog: GlanceCatalog, stores: GlanceStores, image_id: str
) -> None:
    """Restore an image, and say so."""
    locations = catalog.restore(image_id, stores.is_there)
    print(f"image {image_id} is active again, with {len(locations)} locations")


def scrub(
    executor: Executor,
    scrubber: Scrubber,
    catalog: GlanceCatalog,
    stores: GlanceStores,
    conf: Any,
    arguments: argparse.Namespace,
    show: Callable[[ScrubReport], None],
) -> ScrubReport | None:
    """Scrub once, or until a signal; the report, or None of a daemon."""
    runtime = executor.runtime

    with stopped_by_signals(runtime) as stop:

        def run() -> ScrubReport:
            if not arguments.dry_run:
                catalog.revive(stores.is_there)
            return scrubber.run_once(
                arguments.limit, dry_run=arguments.dry_run, stop=stop
            )

        if not (arguments.daemon or conf.daemon):
            return run()
        run_forever(
            run,
            stop,
            runtime,
            # Glance's 0 is one run after the other.
            interval=max(conf.wakeup_time, 1),
            report=show,
        )
    return None


class _Flag:
    """Set by a signal handler, which may not take a lock of an event."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._set = False

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout: float | None = None) -> bool:
        end = None if timeout is None else self._now() + timeout
        while not self._set and (end is None or self._now() < end):
            left = _LOOK if end is None else end - self._now()
            self._runtime.sleep(max(min(left, _LOOK), 0.0))
        return self._set

    def _now(self) -> float:
        return self._runtime.monotonic()


@contextlib.contextmanager
def stopped_by_signals(runtime: Runtime) -> Iterator[_Flag]:
    """A stop that SIGTERM sets, in the ``with`` block."""
    flag = _Flag(runtime)
    before = signal.signal(signal.SIGTERM, lambda *_: flag.set())
    try:
        yield flag
    finally:
        signal.signal(signal.SIGTERM, before)
