"""Errors of what is missing, or set up in a way that cannot work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelops.errors.root import ParallelopsError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ConfigError",
    "MissingDependency",
    "PluginError",
]


class PluginError(ParallelopsError):
    """A plug-in is missing, broken, of the wrong kind or doubly defined.

    Attributes:
        namespace: the entry-point namespace it was looked for in.
        plugin: its name.
        distributions: the distributions that define it, as "name version".
    """

    def __init__(
        self,
        namespace: str,
        plugin: str,
        reason: str,
        distributions: Sequence[str] = (),
    ) -> None:
        origin = f" from {', '.join(distributions)}" if distributions else ""
        super().__init__(f"{namespace} plug-in {plugin!r}{origin}: {reason}")
        self.namespace = namespace
        self.plugin = plugin
        self.distributions = tuple(distributions)


class MissingDependency(ParallelopsError, ImportError):
    """An optional dependency is not installed.

    Attributes:
        extra: the extra of this package that installs it, if there is one.
    """

    def __init__(
        self,
        what: str,
        module: str,
        extra: str | None,
        remedy: str | None = None,
    ) -> None:
        if remedy is None:
            remedy = (
                f"pip install 'parallelops[{extra}]'"
                if extra
                else f"install {module}"
            )
        super().__init__(f"{what} needs {module}: {remedy}", name=module)
        self.extra = extra


class ConfigError(ParallelopsError, ValueError):
    """A configuration option has a value that cannot work.

    Attributes:
        option: the option as "[group] name".
    """

    def __init__(self, option: str, reason: str) -> None:
        super().__init__(f"{option}: {reason}")
        self.option = option
