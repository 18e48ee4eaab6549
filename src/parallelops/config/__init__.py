"""Options of the group [parallelops].

A service registers them with its own ``ConfigOpts``, and gets its executors
from there once its configuration is read::

    config.register_opts(conf)
    conf(sys.argv[1:], project="glance")
    with config.executor_from(conf) as executor:
        ...
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oslo_config import cfg

from parallelops.config import containers, downloading, scrub
from parallelops.config.checked import (
    ALL,
    checked,
    chosen,
    group,
    handlers,
    option_error,
    register_opts,
    strategy,
)
from parallelops.config.kinds import GROUP
from parallelops.errors import ConfigError
from parallelops.plugins import load_executor
from parallelops.runtime import ThreadRuntime

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from parallelops.containers import ContainerOperations
    from parallelops.download import Downloader, HTTPSource, Swarm
    from parallelops.executor import Executor
    from parallelops.images import (
        Chain,
        Fetcher,
        SelectionContext,
        StorePolicy,
    )
    from parallelops.runtime import Runtime

__all__ = [
    "GROUP",
    "container_operations_from",
    "downloader_from",
    "executor_from",
    "fetcher_from",
    "list_opts",
    "location_strategy_from",
    "override",
    "read",
    "register_opts",
    "scrub_executor_from",
    "scrub_policies_from",
    "selection_context_from",
    "source_from",
    "swarm_from",
    "validate",
]


def list_opts() -> list[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    """The options, for oslo.config's generators of samples and docs."""
    return [(group(), list(ALL))]


def read(
    files: Iterable[str], conf: cfg.ConfigOpts | None = None
) -> cfg.ConfigOpts:
    """A configuration of its own, for a program that has no other.

    Args:
        files: the files to read, and no others; later ones win.
        conf: with more options, for what else is in the files.

    Raises:
        ConfigError: one cannot be read; its path is the option's name.
    """
    conf = cfg.ConfigOpts() if conf is None else conf
    register_opts(conf)
    for name in files:
        # One by one, so that an error can name the file.
        try:
            cfg.ConfigParser(name, {}).parse()
        except (OSError, cfg.ParseError) as error:
            raise ConfigError(name, str(error)) from error
    conf(
        [word for name in files for word in ("--config-file", name)],
        project="parallelops",
        default_config_files=[],
        default_config_dirs=[],
    )
    return conf


def override(conf: cfg.ConfigOpts, name: str, value: object) -> None:
    """Have ``value`` take the place of what ``conf`` says.

    Raises:
        ConfigError: the option cannot have that value.
    """
    try:
        conf.set_override(name, value, group=GROUP)
    except ValueError as error:
        raise option_error(name, str(error)) from error


def validate(conf: cfg.ConfigOpts) -> None:
    """See that every option in the group [parallelops] can work.

    Call it when the configuration has been read, and whoever adds options
    to the group has registered them. oslo.config by itself finds a bad
    value only when it is used, and a misspelt option never.

    Raises:
        ConfigError: an option cannot work, or there is no such option.
    """
    checked(conf)


def executor_from(conf: cfg.ConfigOpts, **options: Any) -> Executor:
    """Make the executor that ``conf`` asks for; the caller shuts it down.

    Args:
        conf: the configuration of the service, read already.
        options: what the service chooses by itself, such as ``name`` or
            ``observers``. What ``conf`` sets wins.

    Raises:
        ConfigError: an option cannot work; see :func:`validate`.
    """
    values = checked(conf)
    return load_executor(values["executor"], **options | chosen(values))


def scrub_executor_from(conf: cfg.ConfigOpts, **options: Any) -> Executor:
    """Make the executor for a scrub; the caller shuts it down.

    It is serial when ``scrub_pool_size`` is 1, and else what
    :func:`executor_from` makes of the same arguments, with that many
    workers.

    Raises:
        ConfigError: an option cannot work; see :func:`validate`.
    """
    values = checked(conf)
    size = values["scrub_pool_size"]
    name = "serial" if size == 1 else values["executor"]
    options |= chosen(values) | {"max_workers": size}
    return load_executor(name, **options)


def scrub_policies_from(
    conf: cfg.ConfigOpts, stores: Iterable[str], runtime: Runtime
) -> dict[str, StorePolicy]:
    """How a scrubber is to treat its stores; each has limits of its own.

    Args:
        conf: the configuration of the service, read already.
        stores: their names.
        runtime: that of the executor which scrubs.

    Raises:
        ConfigError: an option cannot work, or names no such store.
    """
    return scrub.policies(checked(conf), stores, runtime)


def container_operations_from(
    conf: cfg.ConfigOpts, *, handlers: Any, **options: Any
) -> AbstractContextManager[ContainerOperations]:
    """Container operations for a ``with`` block, which has their executor
    and their journal made before and ended after it. Call ``recover``.

    Args:
        conf: the configuration of the service, read already.
        handlers: what does the operations.
        options: what the service chooses by itself, such as ``owner``; they
            are those of :class:`~parallelops.containers.ContainerOperations`
            and win.

    Raises:
        ConfigError: an option cannot work; see :func:`validate`.
    """
    values = checked(conf)
    return containers.running(values, chosen(values), handlers, options)


def location_strategy_from(conf: cfg.ConfigOpts) -> Chain:
    """Make the strategy that ``conf`` asks for.

    Raises:
        ConfigError: an option cannot work; see :func:`validate`.
    """
    return strategy(checked(conf))


def selection_context_from(
    conf: cfg.ConfigOpts, *, runtime: Runtime | None = None
) -> SelectionContext:
    """Make what a strategy may know: stores, node, and metrics.

    A process makes one, and keeps it, as it keeps what is measured.

    Args:
        conf: the configuration of the service, read already.
        runtime: where clocks and chance come from; that of the executor,
            if it is one of green threads.

    Raises:
        ConfigError: an option cannot work; see :func:`validate`.
    """
    from parallelops.images import LocationMetrics, SelectionContext

    values = checked(conf)
    runtime = runtime or ThreadRuntime()
    return SelectionContext(
        node=values["node_name"] or socket.gethostname(),
        stores=tuple(values["location_stores"]),
        metrics=LocationMetrics(
            values["location_metrics_file"], runtime=runtime
        ),
        runtime=runtime,
    )


def fetcher_from(
    conf: cfg.ConfigOpts,
    *,
    runtime: Runtime | None = None,
    executor: Executor | None = None,
    **options: Any,
) -> Fetcher:
    """Make what fetches images as ``conf`` asks for it.

    Args:
        conf: the configuration of the service, read already.
        runtime: see :func:`selection_context_from`.
        executor: see :class:`~parallelops.images.Fetcher`. Its runtime is
            taken where none is given.
        options: for :class:`~parallelops.images.FetchOptions`. What
            ``conf`` sets wins.

    Raises:
        ConfigError: an option cannot work; see :func:`validate`.
    """
    from parallelops.images import Fetcher, FetchOptions

    if runtime is None and executor is not None:
        runtime = executor.runtime
    values = checked(conf)
    folders = tuple(map(Path, values["image_folders"]))
    return Fetcher(
        handlers=handlers(values),
        strategy=strategy(values),
        context=selection_context_from(conf, runtime=runtime),
        options=FetchOptions(**options | {"folders": folders}),
        executor=executor,
    )


def swarm_from(
    conf: cfg.ConfigOpts, runtime: Runtime | None = None
) -> AbstractContextManager[Swarm]:
    """A swarm for a ``with`` block, closed at its end.

    Args:
        conf: the configuration of the service, read already.
        runtime: that of the executor which downloads.

    Raises:
        ConfigError: an option cannot work; see :func:`validate`.
    """
    return downloading.swarm(checked(conf), runtime or ThreadRuntime())


def downloader_from(
    conf: cfg.ConfigOpts,
    executor: Executor,
    *,
    swarm: Swarm | None = None,
) -> Downloader:
    """Make what downloads images as ``conf`` asks for it.

    Args:
        conf: the configuration of the service, read already.
        executor: reads from the origin, and is not shut down.
        swarm: to share images with others.

    Raises:
        ConfigError: an option cannot work; see :func:`validate`.
    """
    return downloading.downloader(checked(conf), executor, swarm)


def source_from(
    conf: cfg.ConfigOpts, urls: str | Sequence[str], **options: Any
) -> HTTPSource:
    """Make the origin of an image, as patient as ``conf`` asks for it.

    Args:
        conf: the configuration of the service, read already.
        urls: the copies of the image.
        options: for :class:`~parallelops.download.HTTPSource`; they win.

    Raises:
        ConfigError: an option cannot work; see :func:`validate`.
        TransferError: one of the URLs can't be used.
    """
    return downloading.source(checked(conf), urls, options)
