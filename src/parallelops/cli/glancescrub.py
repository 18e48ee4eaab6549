"""What ``parallelops scrub --glance-config`` does its work on."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from parallelops.cli.progress import shown
from parallelops.errors import ParallelopsError
from parallelops.runtime import ThreadRuntime

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from parallelops.cli.helping import Rare
    from parallelops.events import Observer
    from parallelops.executor import Executor
    from parallelops.images import Scrubber
    from parallelops.integrations.glance import GlanceCatalog, GlanceStores
    from parallelops.runtime import Runtime

__all__ = ["add_to", "check", "restore", "scrubber"]


def add_to(glance: Rare) -> None:
    """Add the arguments."""
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


def check(arguments: argparse.Namespace) -> None:
    """See that the arguments go together.

    Raises:
        ParallelopsError: they don't.
    """
    if not arguments.glance_config:
        for name in ("restore", "lock_file"):
            if getattr(arguments, name):
                option = name.replace("_", "-")
                raise ParallelopsError(f"--{option} needs --glance-config")
    elif arguments.catalog or arguments.store:
        raise ParallelopsError(
            "Glance's configuration names the catalogue and the stores: "
            "leave out --catalog and --store"
        )


def restore(conf: Any, arguments: argparse.Namespace) -> int:
    """Restore an image, and say so."""
    image_id = arguments.restore or conf.restore
    with _opened(conf, arguments.lock_file, ThreadRuntime()) as (
        catalog,
        stores,
    ):
        locations = catalog.restore(image_id, stores.is_there)
    print(f"image {image_id} is active again, with {len(locations)} locations")
    return 0


@contextlib.contextmanager
def scrubber(
    executor: Executor,
    conf: Any,
    lock_file: str | None,
    observers: list[Observer],
) -> Iterator[tuple[Scrubber, Callable[[], object]]]:
    """A scrubber of a Glance, and what to do before each of its runs."""
    from parallelops import config
    from parallelops.images import Scrubber
    from parallelops.integrations.glance import BATCH_SIZE

    options = conf[config.GROUP]
    with (
        _opened(conf, lock_file, executor.runtime) as (catalog, stores),
        shown("image") as progress,
    ):
        scrubber = Scrubber(
            executor,
            catalog=catalog,
            store=stores.by_name,
            policy=stores.policies(
                config.scrub_policies_from(
                    conf, stores.by_name, executor.runtime
                )
            ),
            grace=options.scrub_time,
            delete_timeout=options.scrub_delete_timeout,
            lease=options.scrub_lease,
            limits_file=options.scrub_limits_file,
            batch_size=BATCH_SIZE,
            progress=progress,
            observers=observers,
        )
        yield scrubber, lambda: catalog.revive(stores.is_there)


@contextlib.contextmanager
def _opened(
    conf: Any, lock_file: str | None, runtime: Runtime
) -> Iterator[tuple[GlanceCatalog, GlanceStores]]:
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
