"""``parallelops scrub``: delete what waits to be deleted, and say so."""

from __future__ import annotations

import argparse
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelops import plugins
from parallelops.cli import glancescrub
from parallelops.cli.arguments import count, seconds
from parallelops.cli.progress import shown
from parallelops.errors import ParallelopsError
from parallelops.observe import ChromeTrace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelops.executor import Executor
    from parallelops.images import ScrubReport

__all__ = ["add_to", "run"]

# The arguments that take the place of an option of the configuration.
_OPTIONS = {
    "catalog": "scrub_catalog",
    "executor": "executor",
    "pool_size": "scrub_pool_size",
    "scrub_time": "scrub_time",
    "delete_timeout": "scrub_delete_timeout",
}


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "scrub",
        help="delete the data of deleted images",
        description="Delete the data of the images that a catalogue lists "
        "as pending_delete, and mark them deleted. The exit status is 1 "
        "when something is left, and the report says what and why.",
    )
    parser.add_argument(
        "--config-file",
        action="append",
        default=[],
        metavar="FILE",
        help="read the group [parallelops] of this file; may be repeated. "
        "The arguments below take the place of what it says",
    )
    parser.add_argument("--catalog", metavar="FILE", help="the catalogue")
    parser.add_argument(
        "--store",
        action="append",
        type=_store,
        default=[],
        metavar="[NAME=]FOLDER",
        help="a store of files, by the name that the catalogue has for it; "
        "may be repeated. One without a name takes every location",
    )
    parser.add_argument("--executor", metavar="NAME", help="what scrubs")
    parser.add_argument(
        "--pool-size",
        type=count,
        metavar="N",
        help="how many images at the same time; 1 is serial. Mind the rate "
        "limits of the stores",
    )
    parser.add_argument(
        "--scrub-time",
        type=seconds,
        metavar="SECONDS",
        help="how long an image waits in pending_delete",
    )
    parser.add_argument(
        "--delete-timeout",
        type=seconds,
        metavar="SECONDS",
        help="when a delete counts as hung",
    )
    parser.add_argument(
        "--limit", type=count, metavar="N", help="stop after so many images"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would be deleted, and touch nothing",
    )
    parser.add_argument(
        "--json", action="store_true", help="print the report as JSON"
    )
    parser.add_argument(
        "--trace",
        type=Path,
        metavar="FILE",
        help="write a timeline to this file, which must not exist yet; open "
        "it in https://ui.perfetto.dev",
    )
    glancescrub.add_to(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Scrub once; 1 when something is left."""
    if arguments.executor is not None:
        # Before anything is imported that it must patch.
        plugins.prepare_process(arguments.executor)
    from parallelops import config

    conf = _configuration(arguments)
    options = conf[config.GROUP]
    plugins.prepare_process(options.executor)
    folders: Mapping[str | None, str] = {}
    if not arguments.glance_config:
        _check_no_daemon(arguments)
        folders = _folders(options, arguments)
    with contextlib.ExitStack() as stack:
        choices: dict[str, Any] = {}
        if arguments.trace is not None:
            trace = stack.enter_context(ChromeTrace(arguments.trace))
            choices = {"name": "scrub", "observers": [trace]}
        executor = stack.enter_context(
            config.scrub_executor_from(conf, **choices)
        )
        if arguments.glance_config:
            report = _scrub_glance(executor, conf, arguments)
        else:
            report = _scrub(executor, options, folders, arguments)
    if report is None:
        return 0
    _show(report, arguments)
    return 0 if report.ok else 1


def _configuration(arguments: argparse.Namespace) -> Any:
    from parallelops import config

    if arguments.glance_config:
        if arguments.catalog or arguments.store:
            raise ParallelopsError(
                "Glance's configuration names the catalogue and the stores: "
                "leave out --catalog and --store"
            )
        from parallelops.config import glance

        conf = glance.read(arguments.glance_config + arguments.config_file)
    else:
        conf = config.read(arguments.config_file)
    for argument, option in _OPTIONS.items():
        value = getattr(arguments, argument)
        if value is not None:
            config.override(conf, option, value)
    config.validate(conf)
    return conf


def _check_no_daemon(arguments: argparse.Namespace) -> None:
    for name in ("daemon", "restore", "lock_file"):
        if getattr(arguments, name):
            option = name.replace("_", "-")
            raise ParallelopsError(f"--{option} needs --glance-config FILE")


def _folders(
    options: Any, arguments: argparse.Namespace
) -> Mapping[str | None, str]:
    if not options.scrub_catalog:
        raise ParallelopsError("name a catalogue: --catalog FILE")
    stores = dict(arguments.store) or options.scrub_stores
    if not stores:
        raise ParallelopsError("name a store: --store [NAME=]FOLDER")
    if None in stores and len(stores) > 1:
        raise ParallelopsError("name every store: --store NAME=FOLDER")
    if not Path(options.scrub_catalog).exists():
        raise ParallelopsError(
            f"there is no catalogue {options.scrub_catalog}"
        )
    return stores


def _show(report: ScrubReport, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(json.dumps(report.as_dict(), indent=2), flush=True)
    else:
        print(*report.summary(), sep="\n", flush=True)


def _scrub(
    executor: Executor,
    options: Any,
    folders: Mapping[str | None, str],
    arguments: argparse.Namespace,
) -> ScrubReport:
    from parallelops.images import FileStore, Scrubber, SQLiteCatalog

    stores: Any = {name: FileStore(folders[name]) for name in folders}
    with (
        SQLiteCatalog(options.scrub_catalog) as catalog,
        shown("image") as progress,
    ):
        scrubber = Scrubber(
            executor,
            catalog=catalog,
            store=stores.get(None) or stores,
            grace=options.scrub_time,
            delete_timeout=options.scrub_delete_timeout,
            progress=progress,
        )
        return scrubber.run_once(arguments.limit, dry_run=arguments.dry_run)


def _scrub_glance(
    executor: Executor, conf: Any, arguments: argparse.Namespace
) -> ScrubReport | None:
    """The report; None when there is nothing to report any more."""
    from parallelops import config
    from parallelops.images import Scrubber
    from parallelops.integrations.glance import BATCH_SIZE

    options = conf[config.GROUP]
    with (
        glancescrub.opened(conf, arguments.lock_file, executor.runtime) as (
            catalog,
            stores,
        ),
        shown("image") as progress,
    ):
        image_id = arguments.restore or conf.restore
        if image_id:
            glancescrub.restore(catalog, stores, image_id)
            return None
        scrubber = Scrubber(
            executor,
            catalog=catalog,
            store=stores.by_name,
            grace=options.scrub_time,
            delete_timeout=options.scrub_delete_timeout,
            batch_size=BATCH_SIZE,
            progress=progress,
        )
        return glancescrub.scrub(
            executor,
            scrubber,
            catalog,
            stores,
            conf,
            arguments,
            lambda report: _show(report, arguments),
        )


def _store(text: str) -> tuple[str | None, str]:
    name, equals, folder = text.partition("=")
    if not equals:
        return None, text
    if not name or not folder:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FOLDER")
    return name, folder
