"""Loading plug-ins by name; the only import of stevedore.

What is built in is found without entry points: no other distribution can
take its place, and loading it reads nothing but its own module.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import re
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, cast

from parallelops.errors import MissingDependency, PluginError
from parallelops.executor import Executor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from importlib.metadata import EntryPoint

__all__ = [
    "EXECUTORS",
    "Namespace",
    "Plugin",
    "executor_class",
    "executors",
    "load_executor",
    "near_match",
    "prepare_process",
    "unknown_options",
]

# How Python words it when a constructor hands an option on to another.
_UNEXPECTED = re.compile(
    r"__init__\(\) got an unexpected keyword argument '(\w+)'"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Plugin:
    """One definition of a plug-in, working or not.

    Attributes:
        name: what it is loaded by.
        distribution: who defines it, as "name version", or "built in".
        target: where it is, as "module:attribute".
        error: why it cannot be loaded; None when it can.
    """

    name: str
    distribution: str
    target: str
    error: PluginError | MissingDependency | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A kind of plug-in: where it is looked for, and what it must be.

    Attributes:
        name: the group of entry points.
        builtins: those that come with this library, as name and
            "module:attribute".
        base: the class that plug-ins derive from; None takes any callable.
    """

    name: str
    builtins: Mapping[str, str]
    base: type | None = None

    def load(self, name: str) -> Any:
        """The plug-in of that name: a class, or a callable.

        Raises:
            PluginError: it is missing, defined more than once, fails to
                load, or is not what a plug-in of this kind must be.
            MissingDependency: it needs something that is not installed.
        """
        target = self.builtins.get(name)
        if target is not None:
            return self._load(name, target, lambda: resolve_name(target))
        entry_points = _entry_points(self.name)
        found = [ep for ep in entry_points if ep.name == name]
        if not found:
            names = {*self.builtins, *(ep.name for ep in entry_points)}
            raise PluginError(
                self.name,
                name,
                f"there is no such plug-in{near_match(name, names)}; "
                f"installed are {', '.join(sorted(names))}",
            )
        distributions = [_distribution(ep) for ep in found]
        if len(found) > 1:
            raise PluginError(
                self.name,
                name,
                f"it is defined {len(found)} times "
                f"({', '.join(ep.value for ep in found)}); "
                "keep one and uninstall the others",
                distributions,
            )
        ep = found[0]
        return self._load(
            name, ep.value, lambda: _load_by_stevedore(ep), distributions
        )

    def installed(self) -> list[Plugin]:
        """Every definition that is installed, those built in first.

        This loads each, to see whether it can be; but never one that has
        the name of a built-in.
        """
        builtins = [
            Plugin(name, "built in", target, self._error(name))
            for name, target in self.builtins.items()
        ]
        others = [
            Plugin(ep.name, _distribution(ep), ep.value, self._error_of(ep))
            for ep in sorted(_entry_points(self.name), key=lambda ep: ep.name)
            # Our own entry points say again, for others, what is built in.
            if self.builtins.get(ep.name) != ep.value
        ]
        return builtins + others

    def _error(self, name: str) -> PluginError | MissingDependency | None:
        try:
            self.load(name)
        except (PluginError, MissingDependency) as error:
            return error
        return None

    def _error_of(
        self, entry_point: EntryPoint
    ) -> PluginError | MissingDependency | None:
        if entry_point.name not in self.builtins:
            return self._error(entry_point.name)
        return PluginError(
            self.name,
            entry_point.name,
            "it is shadowed by the built-in of that name and never loaded; "
            "it needs another name",
            [_distribution(entry_point)],
        )

    def _load(
        self,
        name: str,
        target: str,
        load: Callable[[], Any],
        distributions: Sequence[str] = (),
    ) -> Any:
        try:
            plugin = load()
        except MissingDependency:
            raise
        except (Exception, SystemExit) as error:
            raise PluginError(
                self.name,
                name,
                f"loading {target} failed: {type(error).__name__}: {error}",
                distributions,
            ) from error
        problem = self._problem(plugin)
        if problem:
            raise PluginError(
                self.name, name, f"{target} {problem}", distributions
            )
        return plugin

    def _problem(self, plugin: Any) -> str | None:
        if self.base is None:
            return None if callable(plugin) else "cannot be called"
        if not (isinstance(plugin, type) and issubclass(plugin, self.base)):
            base = f"{self.base.__module__}.{self.base.__qualname__}"
            return f"is not a class that derives from {base}"
        missing = sorted(getattr(plugin, "__abstractmethods__", ()))
        return f"does not implement {', '.join(missing)}" if missing else None


EXECUTORS = Namespace(
    name="parallelops.executors",
    builtins={
        "serial": "parallelops.backends.serial:SerialExecutor",
        "thread": "parallelops.backends.thread:ThreadExecutor",
        "greenthread": "parallelops.backends.greenthread:GreenThreadExecutor",
        "dask": "parallelops.backends.dask:DaskExecutor",
    },
    base=Executor,
)

LOCATION_STRATEGIES = Namespace(
    name="parallelops.location_strategies",
    builtins={
        name: f"parallelops.images.strategy:{function}"
        for name, function in (
            ("location_order", "location_order"),
            ("store_preference", "store_preference"),
            ("weight", "by_weight"),
            ("node_weight", "by_node_weight"),
            ("random", "at_random"),
            ("measured", "measured"),
        )
    },
)

IMAGE_HANDLERS = Namespace(
    name="parallelops.image_handlers",
    builtins={
        "ova": "parallelops.images.handlers.ova:take_disk",
        "file": "parallelops.images.handlers.file:copy_file",
        "http": "parallelops.images.handlers.http:get",
        "torrent": "parallelops.integrations.torrent:share",
    },
)


ORIGIN_GATES = Namespace(
    name="parallelops.origin_gates",
    builtins={
        "auto": "parallelops.download.gates:auto",
        "rendezvous": "parallelops.download.gates:rendezvous",
        "lease": "parallelops.download.gates:lease",
        "lottery": "parallelops.download.gates:lottery",
        "always": "parallelops.download.gates:always",
        "never": "parallelops.download.gates:never",
    },
)


def load_executor(name: str, /, **options: Any) -> Executor:
    """Make an executor of the backend of that name.

    Args:
        name: "serial", "thread", "greenthread", "dask", or what a plug-in
            in the entry-point namespace ``parallelops.executors`` is
            called.
        options: for the backend's constructor; the built-in ones take those
            of :class:`~parallelops.backends.options.Options`.

    Raises:
        PluginError: there is no such backend, or it is broken.
        MissingDependency: it needs something that is not installed.
        TypeError: it does not take one of the options.
    """
    cls = executor_class(name)
    unknown = unknown_options(cls, options)
    if unknown:
        raise TypeError(_not_taken(name, cls, unknown[0]))
    try:
        return cls(**options)
    except TypeError as error:
        # Of what goes wrong inside, only this is about our caller's call.
        match = _UNEXPECTED.search(str(error))
        option = match[1] if match else ""
        if option not in options or option in _parameters(cls):
            raise
        raise TypeError(_not_taken(name, cls, option)) from error


def executor_class(name: str) -> type[Executor]:
    """The class of the backend of that name; see :func:`load_executor`.

    Raises:
        PluginError: there is no such backend, or it is broken.
        MissingDependency: it needs something that is not installed.
    """
    return cast("type[Executor]", EXECUTORS.load(name))


def prepare_process(name: str) -> None:
    """Do what the process needs before that backend can start.

    A program calls it first thing; see :meth:`Executor.prepare_process`.

    Raises:
        PluginError: there is no such backend, or it is broken.
        MissingDependency: it needs something that is not installed.
    """
    executor_class(name).prepare_process()


def executors() -> list[Plugin]:
    """Every backend that is installed, working or not; this loads all."""
    return EXECUTORS.installed()


def unknown_options(cls: type[Executor], options: Iterable[str]) -> list[str]:
    """Those of ``options`` that the constructor of ``cls`` does not take.

    None for a constructor that takes any keyword: it hands them on, and
    only calling it shows whether they are taken there.
    """
    parameters = _parameters(cls)
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return []
    return [option for option in options if option not in parameters]


def near_match(name: str, names: Iterable[str]) -> str:
    """What to add to "there is no such thing": a guess, or nothing."""
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _parameters(cls: type[Executor]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(cls).parameters


def _not_taken(name: str, cls: type[Executor], option: str) -> str:
    return (
        f"executor {name!r} takes no option {option!r}"
        f"{near_match(option, _parameters(cls))}"
    )


def _entry_points(namespace: str) -> list[EntryPoint]:
    # Imported late: it takes longer than all the rest of this library.
    from importlib import metadata

    return list(metadata.entry_points(group=namespace))


def _distribution(entry_point: EntryPoint) -> str:
    dist = entry_point.dist
    return f"{dist.name} {dist.version}" if dist else "unknown"


def _load_by_stevedore(entry_point: EntryPoint) -> Any:
    from stevedore import DriverManager

    class Manager(DriverManager):  # type: ignore[type-arg]
        """Knows this entry point alone.

        Left to itself, stevedore reads entry points from a cache file in
        the user's home. Who can write there can redirect them, and the file
        does not say which distribution they are from. And of a name that is
        defined twice it loads both before it complains.
        """

        def list_entry_points(self) -> list[EntryPoint]:
            return [entry_point]

    return Manager(entry_point.group, entry_point.name).driver
