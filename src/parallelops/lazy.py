"""Names of a package that are loaded when they are asked for (PEP 562)."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["loader"]


def loader(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """What a package calls ``__getattr__``.

    Args:
        package: its ``__name__``.
        homes: by the names that it hands out, the modules they are in.
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}"
            )
        value = getattr(importlib.import_module(homes[name]), name)
        # It is asked for here but once.
        setattr(sys.modules[package], name, value)
        return value

    return load
