"""``parallelops scrub``: delete what waits to be deleted, and say so."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelops import plugins
from parallelops.cli import glancescrub
from parallelops.cli.arguments import (
    add_json,
    add_repeated,
    count,
    seconds,
)
from parallelops.cli.helping import Rare, add_help
from parallelops.cli.progress import shown
from parallelops.cli.stopping import StopSignal
from parallelops.errors import ParallelopsError, ShutdownTimeout
from parallelops.observe import AuditLog, ChromeTrace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from parallelops.events import Observer
    from parallelops.executor import Executor
    from parallelops.images import Scrubber, ScrubReport

__all__ = ["add_to", "run"]

# The arguments that take the place of an option of the configuration.
_OPTIONS = {
    "catalog": "scrub_catalog",
    "executor": "executor",
    "pool_size": "scrub_pool_size",
    "scrub_time": "scrub_time",
    "delete_timeout": "scrub_delete_timeout",
    "limits_file": "scrub_limits_file",
    "interval": "scrub_interval",
    "drain": "scrub_drain",
}


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "scrub",
        add_help=False,
        help="delete the data of deleted images",
        description="Delete the data of the images that a catalogue lists "
        "as pending_delete, and mark them deleted. The exit status is 1 "
        "when something is left.",
    )
    settings = Rare(parser, "in the place of what the configuration says")
    records = Rare(parser, "what it writes")
    glance = Rare(parser, "with --glance-config")
    add_help(parser, settings, records, glance)
    add_repeated(
        parser,
        "--config-file",
        "FILE",
        "read [parallelops] in this file",
    )
    parser.add_argument("--catalog", metavar="FILE", help="the catalogue")
    add_repeated(
        parser,
        "--store",
        "[NAME=]FOLDER",
        "a store of files, by its name in the catalogue; one without a name "
        "takes every location",
        kind=_store,
    )
    add_repeated(
        parser,
        "--glance-config",
        "FILE",
        "scrub the Glance of this file, such as "
        "/etc/glance/glance-scrubber.conf",
    )
    parser.add_argument(
        "--pool-size",
        type=count,
        metavar="N",
        help="images at the same time; mind the stores' limits",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would be deleted, and touch nothing",
    )
    parser.add_argument(
        "--limit", type=count, metavar="N", help="stop after so many images"
    )
    parser.add_argument(
        "--daemon",
        action="store_true",
        help="scrub again and again until told to stop",
    )
    add_json(parser, "print JSON; of a daemon, each report in one line")
    settings.add_argument(
        "--executor",
        metavar="NAME",
        help="what scrubs, such as thread or greenthread",
    )
    for option, text in (
        ("--scrub-time", "how long an image waits in pending_delete"),
        ("--delete-timeout", "when a delete counts as hung"),
        ("--interval", "from one wake-up of the daemon to the next"),
        (
            "--drain",
            "how long to go on with what is under way, at SIGTERM or Ctrl-C",
        ),
    ):
        settings.add_argument(
            option, type=seconds, metavar="SECONDS", help=text
        )
    settings.add_argument(
        "--limits-file",
        metavar="FILE",
        help="keep here the rates that stores turned out to take, for the "
        "next time",
    )
    records.add_argument(
        "--audit",
        type=Path,
        metavar="FILE",
        help="add a line of JSON to this file for each thing that happens",
    )
    records.add_argument(
        "--trace",
        type=Path,
        metavar="FILE",
        help="write a timeline to this file, which must not exist yet; open "
        "it in https://ui.perfetto.dev",
    )
    glancescrub.add_to(glance)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Scrub; 1 when something is left."""
    if arguments.executor is not None:
        # Before anything is imported that it must patch.
        plugins.prepare_process(arguments.executor)
    from parallelops import config

    conf = _configuration(arguments)
    options = conf[config.GROUP]
    plugins.prepare_process(options.executor)
    folders: Mapping[str | None, str] = {}
    if not arguments.glance_config:
        folders = _folders(options, arguments)
    elif conf.restore or arguments.restore:
        return glancescrub.restore(conf, arguments)
    if arguments.glance_config and conf.daemon:
        arguments.daemon = True
    if arguments.daemon and (arguments.dry_run or arguments.limit):
        raise ParallelopsError(
            "--daemon goes neither with --dry-run nor with --limit"
        )
    with contextlib.ExitStack() as stack:
        # What still hangs when all is said and done is not waited for.
        choices: dict[str, Any] = {"name": "scrub", "exit_timeout": 0}
        observers: list[Observer] = []
        if arguments.audit is not None:
            observers.append(stack.enter_context(AuditLog(arguments.audit)))
        if arguments.trace is not None:
            trace = stack.enter_context(ChromeTrace(arguments.trace))
            choices |= {"observers": [trace]}
        executor = config.scrub_executor_from(conf, **choices)
        stack.callback(_leave, executor)
        stop = stack.enter_context(StopSignal(executor.runtime))
        if arguments.glance_config:
            opened = glancescrub.scrubber(
                executor, conf, arguments.lock_file, observers
            )
        else:
            opened = _scrubber(executor, conf, folders, observers)
        scrubber, prepare = stack.enter_context(opened)

        def run_once() -> ScrubReport:
            if not arguments.dry_run:
                prepare()
            return scrubber.run_once(
                arguments.limit,
                dry_run=arguments.dry_run,
                stop=stop,
                drain=options.scrub_drain,
            )

        if arguments.daemon:
            from parallelops.images.daemon import run_forever

            reports: list[ScrubReport] = []

            def show(report: ScrubReport) -> None:
                reports[:] = [report]
                _print(report, as_json=arguments.json, indent=None)

            run_forever(
                run_once,
                stop,
                executor.runtime,
                interval=options.scrub_interval,
                report=show,
            )
            left = [x.outcome for x in reports[0].failures] if reports else []
            return int(any(outcome != "skipped" for outcome in left))
        report = run_once()
    _print(report, as_json=arguments.json, indent=2)
    if report.stopped:
        return 128 + stop.number
    return 0 if report.ok else 1


def _print(report: ScrubReport, *, as_json: bool, indent: int | None) -> None:
    lines = report.summary()
    if as_json:
        lines = [json.dumps(report.as_dict(), indent=indent)]
    print(*lines, sep="\n", flush=True)


def _configuration(arguments: argparse.Namespace) -> Any:
    from parallelops import config

    glancescrub.check(arguments)
    if arguments.glance_config:
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


@contextlib.contextmanager
def _scrubber(
    executor: Executor,
    conf: Any,
    folders: Mapping[str | None, str],
    observers: list[Observer],
) -> Iterator[tuple[Scrubber, Callable[[], object]]]:
    """A scrubber, and what to do before each of its runs."""
    from parallelops import config
    from parallelops.images import FileStore, Scrubber, SQLiteCatalog

    options = conf[config.GROUP]
    stores: Any = {name: FileStore(folders[name]) for name in folders}
    single = stores.get(None)
    policies = config.scrub_policies_from(
        conf, [name or "" for name in folders], executor.runtime
    )
    with (
        SQLiteCatalog(options.scrub_catalog) as catalog,
        shown("image") as progress,
    ):
        scrubber = Scrubber(
            executor,
            catalog=catalog,
            store=single or stores,
            policy=policies[""] if single else policies,
            grace=options.scrub_time,
            delete_timeout=options.scrub_delete_timeout,
            lease=options.scrub_lease,
            limits_file=options.scrub_limits_file,
            progress=progress,
            observers=observers,
        )
        yield scrubber, lambda: None


def _leave(executor: Executor) -> None:
    """Shut it down; what hangs ends with the process."""
    try:
        executor.shutdown(cancel_futures=True, timeout=1.0)
    except ShutdownTimeout as error:
        print(f"parallelops: {error}", file=sys.stderr)


def _store(text: str) -> tuple[str | None, str]:
    name, equals, folder = text.partition("=")
    if not equals:
        return None, text
    if not name or not folder:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FOLDER")
    return name, folder
