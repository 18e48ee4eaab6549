"""The values of all options, once they are known to work."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oslo_config import cfg

from parallelops.config.containers import CONTAINERS
from parallelops.config.download import DOWNLOAD
from parallelops.config.kinds import GROUP
from parallelops.config.options import BACKEND, OPTIONS
from parallelops.errors import ConfigError, MissingDependency, PluginError
from parallelops.executor import Traits
from parallelops.plugins import (
    ORIGIN_GATES,
    executor_class,
    near_match,
    unknown_options,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from parallelops.images import Chain, Handler

__all__ = [
    "ALL",
    "checked",
    "chosen",
    "group",
    "handlers",
    "option_error",
    "register_opts",
    "strategy",
]

_log = logging.getLogger(__name__)

ALL = [*OPTIONS, *CONTAINERS, *DOWNLOAD]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options with ``conf``; doing it again does no harm."""
    conf.register_group(group())
    conf.register_opts(ALL, group=GROUP)


def group() -> cfg.OptGroup:
    """The group, for somebody to register."""
    # A new one each time: oslo.config keeps overrides in the object, and
    # would share them among all that it is registered with.
    text = "How many things are done at the same time, and by what."
    return cfg.OptGroup(GROUP, help=text)


def checked(conf: cfg.ConfigOpts) -> dict[str, Any]:
    """The values of all options, once they are known to work."""
    register_opts(conf)
    _check_names(conf)
    values = {opt.dest: _value(conf, opt.dest) for opt in ALL}
    name = values["executor"]
    try:
        cls = executor_class(name)
    except (PluginError, MissingDependency) as error:
        raise option_error("executor", str(error)) from error
    for option in unknown_options(cls, chosen(values)):
        raise option_error(
            option, f"executor {name!r} does not take it; remove it"
        )
    # The defaults work, and what they name takes a while to load.
    for option, load in _LOADED.items():
        if values[option] != _DEFAULTS[option]:
            load(values)
    size = values["scrub_pool_size"]
    traits = getattr(cls, "traits", Traits())
    # A scrub works with objects of its own process.
    if size > 1 and not (traits.parallel and traits.shared_memory):
        raise option_error(
            "scrub_pool_size",
            f"executor {name!r} cannot scrub {size} images at the same time; "
            "choose another one, or set this to 1",
        )
    return values


def chosen(values: dict[str, Any]) -> dict[str, Any]:
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
        raise option_error(name, str(reason)) from error


def _check_names(conf: cfg.ConfigOpts) -> None:
    known = list(conf[GROUP])
    for path in _files(conf):
        for name in _names(path):
            if name not in known:
                raise option_error(
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


def option_error(option: str, reason: str) -> ConfigError:
    """The error about an option of the group."""
    return ConfigError(f"[{GROUP}] {option}", reason)


def strategy(values: dict[str, Any]) -> Chain:
    """The location strategy that is chosen."""
    # Images are loaded late: who asks for executors only needs none.
    from parallelops.images import load_strategy

    try:
        return load_strategy(values["location_strategies"])
    except (PluginError, MissingDependency) as error:
        raise option_error("location_strategies", str(error)) from error


def handlers(values: dict[str, Any]) -> tuple[tuple[str, Handler], ...]:
    """The image handlers that are chosen."""
    from parallelops.images import load_handlers

    try:
        return load_handlers(values["image_handlers"])
    except (PluginError, MissingDependency) as error:
        raise option_error("image_handlers", str(error)) from error


def _gate(values: dict[str, Any]) -> None:
    try:
        ORIGIN_GATES.load(values["download_gate"])
    except (PluginError, MissingDependency) as error:
        raise option_error("download_gate", str(error)) from error


def _tls(values: dict[str, Any]) -> None:
    for option in _TLS:
        if values[option] is None:
            raise option_error(
                option, f"TLS needs it; set all of {', '.join(_TLS)}"
            )


_TLS = ("download_tls_ca", "download_tls_certificate", "download_tls_key")
_DEFAULTS = {opt.dest: opt.default for opt in ALL}
_LOADED: dict[str, Callable[[dict[str, Any]], object]] = {
    "location_strategies": strategy,
    "image_handlers": handlers,
    "download_gate": _gate,
    **dict.fromkeys(_TLS, _tls),
}
