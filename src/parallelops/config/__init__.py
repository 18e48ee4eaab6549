"""Options of the group [parallelops].

A service registers them with its own ``ConfigOpts``, and gets its executors
from there once its configuration is read::

    config.register_opts(conf)
    conf(sys.argv[1:], project="glance")
    with config.executor_from(conf) as executor:
        ...
"""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oslo_config import cfg

from parallelops.config import containers, scrub
from parallelops.config.options import BACKEND, GROUP
from parallelops.config.options import OPTIONS as _OPTIONS
from parallelops.errors import ConfigError, MissingDependency, PluginError
from parallelops.executor import Traits
from parallelops.plugins import (
    executor_class,
    load_executor,
    near_match,
    unknown_options,
)
from parallelops.runtime import ThreadRuntime

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from parallelops.containers import ContainerOperations
    from parallelops.executor import Executor
    from parallelops.images import (
        Chain,
        Fetcher,
        Handler,
        SelectionContext,
        StorePolicy,
    )
    from parallelops.runtime import Runtime

__all__ = [
    "GROUP",
    "container_operations_from",
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
    "validate",
]

_log = logging.getLogger(__name__)

OPTIONS = [*_OPTIONS, *containers.CONTAINERS]
_DEFAULTS = {opt.dest: opt.default for opt in OPTIONS}


def list_opts() -> list[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    """The options, for oslo.config's generators of samples and docs."""
    return [(_group(), list(OPTIONS))]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options with ``conf``; doing it again does no harm."""
    conf.register_group(_group())
    conf.register_opts(OPTIONS, group=GROUP)


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
        raise _error(name, str(error)) from error


def validate(conf: cfg.ConfigOpts) -> None:
    """See that every option in the group [parallelops] can work.

    Call it when the configuration has been read, and whoever adds options
    to the group has registered them. oslo.config by itself finds a bad
    value only when it is used, and a misspelt option never.

    Raises:
        ConfigError: an option cannot work, or there is no such option.
    """
    _checked(conf)


def executor_from(conf: cfg.ConfigOpts, **options: Any) -> Executor:
    """Make the executor that ``conf`` asks for; the caller shuts it down.

    Args:
        conf: the configuration of the service, read already.
        options: what the service chooses by itself, such as ``name`` or
            ``observers``. What ``conf`` sets wins.

    Raises:
        ConfigError: an option cannot work; see :func:`validate`.
    """
    values = _checked(conf)
    return load_executor(values["executor"], **options | _chosen(values))


def scrub_executor_from(conf: cfg.ConfigOpts, **options: Any) -> Executor:
    """Make the executor for a scrub; the caller shuts it down.

    It is serial when ``scrub_pool_size`` is 1, and else what
    :func:`executor_from` makes of the same arguments, with that many
    workers.

    Raises:
        ConfigError: an option cannot work; see :func:`validate`.
    """
    values = _checked(conf)
    size = values["scrub_pool_size"]
    name = "serial" if size == 1 else values["executor"]
    options |= _chosen(values) | {"max_workers": size}
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
    return scrub.policies(_checked(conf), stores, runtime)


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
    values = _checked(conf)
    return containers.running(values, _chosen(values), handlers, options)


def location_strategy_from(conf: cfg.ConfigOpts) -> Chain:
    """Make the strategy that ``conf`` asks for.

    Raises:
        ConfigError: an option cannot work; see :func:`validate`.
    """
    return _strategy(_checked(conf))


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

    values = _checked(conf)
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
        executor: see :class:`~parallelops.images.Fetcher`.
        options: for :class:`~parallelops.images.FetchOptions`. What
            ``conf`` sets wins.

    Raises:
        ConfigError: an option cannot work; see :func:`validate`.
    """
    from parallelops.images import Fetcher, FetchOptions

    values = _checked(conf)
    folders = tuple(map(Path, values["image_folders"]))
    return Fetcher(
        handlers=_handlers(values),
        strategy=_strategy(values),
        context=selection_context_from(conf, runtime=runtime),
        options=FetchOptions(**options | {"folders": folders}),
        executor=executor,
    )


def _strategy(values: dict[str, Any]) -> Chain:
    # Images are loaded late: who asks for executors only needs none.
    from parallelops.images import load_strategy

    try:
        return load_strategy(values["location_strategies"])
    except (PluginError, MissingDependency) as error:
        raise _error("location_strategies", str(error)) from error


def _handlers(values: dict[str, Any]) -> tuple[tuple[str, Handler], ...]:
    from parallelops.images import load_handlers

    try:
        return load_handlers(values["image_handlers"])
    except (PluginError, MissingDependency) as error:
        raise _error("image_handlers", str(error)) from error


def _group() -> cfg.OptGroup:
    # A new one each time: oslo.config keeps overrides in the object, and
    # would share them among all that it is registered with.
    text = "How many things are done at the same time, and by what."
    return cfg.OptGroup(GROUP, help=text)


def _checked(conf: cfg.ConfigOpts) -> dict[str, Any]:
    """The values of all options, once they are known to work."""
    register_opts(conf)
    _check_names(conf)
    values = {opt.dest: _value(conf, opt.dest) for opt in OPTIONS}
    name = values["executor"]
    try:
        cls = executor_class(name)
    except (PluginError, MissingDependency) as error:
        raise _error("executor", str(error)) from error
    for option in unknown_options(cls, _chosen(values)):
        raise _error(option, f"executor {name!r} does not take it; remove it")
    # The defaults work, and what they name takes a while to load.
    if values["location_strategies"] != _DEFAULTS["location_strategies"]:
        _strategy(values)
    if values["image_handlers"] != _DEFAULTS["image_handlers"]:
        _handlers(values)
    size = values["scrub_pool_size"]
    traits = getattr(cls, "traits", Traits())
    # A scrub works with objects of its own process.
    if size > 1 and not (traits.parallel and traits.shared_memory):
        raise _error(
            "scrub_pool_size",
            f"executor {name!r} cannot scrub {size} images at the same time; "
            "choose another one, or set this to 1",
        )
    return values


def _chosen(values: dict[str, Any]) -> dict[str, Any]:
    """The options for the backend that are set."""
    names = [opt.dest for opt in BACKEND]
    return {name: values[name] for name in names if values[name] is not None}


def _value(conf: cfg.ConfigOpts, name: str) -> Any:
    try:
        return conf[GROUP][name]
    except ValueError as error:
        # oslo.config wraps what the option's type says.
        wrapped = isinstance(error, cfg.ConfigSourceValueError)
        reason = error.__context__ if wrapped else error
        raise _error(name, str(reason)) from error


def _check_names(conf: cfg.ConfigOpts) -> None:
    known = list(conf[GROUP])
    for path in _files(conf):
        for name in _names(path):
            if name not in known:
                raise _error(
                    name,
                    f"{path} sets it, but there is no such option"
                    f"{near_match(name, known)}; "
                    f"the options are {', '.join(known)}",
                )


def _names(path: Path) -> list[str]:
    """What the file sets in the group, whether it is an option or not."""
    sections: dict[str, dict[str, Any]] = {}
    try:
        cfg.ConfigParser(str(path), sections).parse()
    except OSError as error:
        # It could be read when the service began, perhaps as root.
        _log.warning("misspelt options are not looked for: %s", error)
    # oslo.config reads a group whatever the case of its name.
    return [
        name
        for section, options in sections.items()
        if section.lower() == GROUP
        for name in options
    ]


def _files(conf: cfg.ConfigOpts) -> Iterator[Path]:
    """Every file that the values may be from."""
    if "config_file" not in conf:
        return  # Nothing was read yet.
    for name in conf.config_file:
        yield Path(name).expanduser()
    for name in conf.config_dirs or conf.config_dir:
        for path in sorted(Path(name).expanduser().glob("*.conf")):
            if not path.name.startswith("."):
                yield path


def _error(option: str, reason: str) -> ConfigError:
    return ConfigError(f"[{GROUP}] {option}", reason)
