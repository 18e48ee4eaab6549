"""Kinds of options: what their values may be, and what is said if not."""

from __future__ import annotations

import ipaddress
import math
from typing import Any

from oslo_config import cfg, types

__all__ = [
    "GROUP",
    "Address",
    "Endpoint",
    "Folder",
    "Folders",
    "Network",
    "Number",
    "Numbers",
    "Tracker",
    "count",
    "number",
    "seconds",
]

GROUP = "parallelops"


class Number(types.Number):
    """A finite number from a minimum on.

    That of oslo.config lets NaN and infinity pass, and an empty value.
    """

    said = "a whole number"

    def __call__(self, value: object) -> int | float:
        least = self.min or 0
        try:
            number = self.num_type(str(value))
        except ValueError:
            number = math.nan
        if not least <= number < math.inf:
            raise ValueError(
                f"{value!r} is not {self.said}; it must be {least} or more"
            )
        return number


class _Seconds(Number):
    said = "a number of seconds"


class _Decimal(Number):
    said = "a number"


class Folders(types.Dict):
    """Names and folders; says what is wrong with a value, and with which."""

    def __call__(self, value: object) -> dict[str, str]:
        try:
            folders: dict[str, str] = super().__call__(value)
        except ValueError as error:
            raise ValueError(
                f"{value!r} is not name:folder, with commas in between"
            ) from error
        return folders


class Folder(types.String):
    """The path of a folder, the same wherever a process was started."""

    def __call__(self, value: object) -> str:
        folder: str = super().__call__(value)
        if not folder.startswith("/"):
            raise ValueError(f"{value!r} is not a path from the root on")
        return folder


class Network(types.String):
    """A network, such as 10.0.0.0/8."""

    def __call__(self, value: object) -> str:
        text: str = super().__call__(value)
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            raise ValueError(f"{value!r} is not a network") from error
        return text


class Address(types.String):
    """An address of this machine, such as 10.0.0.5."""

    def __call__(self, value: object) -> str:
        text: str = super().__call__(value)
        try:
            ipaddress.ip_address(text)
        except ValueError as error:
            raise ValueError(f"{value!r} is not an address") from error
        return text


class Endpoint(types.String):
    """An address of this machine and a port, such as 0.0.0.0:6881."""

    def __call__(self, value: object) -> str:
        text: str = super().__call__(value)
        host, _, port = text.rpartition(":")
        try:
            ipaddress.ip_address(host.strip("[]"))
            good = 0 <= int(port) <= 65535
        except ValueError:
            good = False
        if not good:
            raise ValueError(f"{value!r} is not address:port")
        return text


class Tracker(types.String):
    """The URL of a tracker."""

    def __call__(self, value: object) -> str:
        text: str = super().__call__(value)
        if not text.startswith(("http://", "https://")):
            raise ValueError(f"{value!r} is not an http or https URL")
        return text


def count(name: str, least: int, **others: Any) -> cfg.Opt:
    """An option that is a whole number, ``least`` or more."""
    kind = Number(int, "integer value", min=least)
    return cfg.Opt(name, type=kind, **others)


def seconds(name: str, least: int = 0, **others: Any) -> cfg.Opt:
    """An option that is seconds, ``least`` or more."""
    kind = _Seconds(float, "floating point value", min=least)
    return cfg.Opt(name, type=kind, **others)


def number(name: str, least: int = 0, **others: Any) -> cfg.Opt:
    """An option that is a number, ``least`` or more."""
    kind = _Decimal(float, "floating point value", min=least)
    return cfg.Opt(name, type=kind, **others)


class Numbers(types.Dict):
    """Names and numbers above 0; says what is wrong with a value."""

    def __init__(self, kind: type[int] | type[float]) -> None:
        super().__init__()
        self._kind = kind

    def __call__(self, value: object) -> dict[str, float]:
        try:
            found = {
                name: self._kind(number)
                for name, number in super().__call__(value).items()
            }
        except ValueError:
            found = {"": math.nan}
        if not all(0 < number < math.inf for number in found.values()):
            kind = "whole numbers" if self._kind is int else "numbers"
            raise ValueError(
                f"{value!r} is not name:number, with commas in between and "
                f"{kind} above 0"
            )
        return found
