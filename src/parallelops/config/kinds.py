"""Kinds of options: what their values may be, and what is said if not."""

from __future__ import annotations

import math
from typing import Any

from oslo_config import cfg, types

__all__ = [
    "GROUP",
    "Folder",
    "Folders",
    "Number",
    "Numbers",
    "count",
    "seconds",
]

GROUP = "parallelops"

_WORDS = {int: "a whole number", float: "a number of seconds"}


class Number(types.Number):
    """A finite number from a minimum on.

    That of oslo.config lets NaN and infinity pass, and an empty value.
    """

    def __call__(self, value: object) -> int | float:
        least = self.min or 0
        try:
            number = self.num_type(str(value))
        except ValueError:
            number = math.nan
        if not least <= number < math.inf:
            raise ValueError(
                f"{value!r} is not {_WORDS[self.num_type]}; "
                f"it must be {least} or more"
            )
        return number


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


def count(name: str, least: int, **others: Any) -> cfg.Opt:
    """An option that is a whole number, ``least`` or more."""
    kind = Number(int, "integer value", min=least)
    return cfg.Opt(name, type=kind, **others)


def seconds(name: str, least: int = 0, **others: Any) -> cfg.Opt:
    """An option that is seconds, ``least`` or more."""
    kind = Number(float, "floating point value", min=least)
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
