"""The manifest of a package: the digests of its files."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from parallelops.errors import ArchiveRefused, DataMismatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["ALGORITHMS", "Digests", "Manifest"]

ALGORITHMS = ("sha1", "sha256", "sha512")
"""Those of the OVF standard (DSP0243). The first is good against damage
only; against a forger nothing in a package is, but its own digest."""

_LINE = re.compile(r"(\w+) ?\(([^()]+)\) ?= ?([0-9a-fA-F]+)")


class Digests:
    """The digests of one file, by all that a manifest may ask for.

    Args:
        algorithms: their names.
    """

    def __init__(self, algorithms: Iterable[str] = ALGORITHMS) -> None:
        self._made: dict[str, Any] = {
            name: hashlib.new(name, usedforsecurity=False)
            for name in algorithms
        }

    def update(self, piece: bytes) -> None:
        """The next bytes of the file."""
        for made in self._made.values():
            made.update(piece)

    def of(self, algorithm: str) -> str:
        """The digest, in hexadecimal digits."""
        return str(self._made[algorithm].hexdigest())


class Manifest:
    """What a manifest says.

    Args:
        name: what it is called.
        data: the file.

    Attributes:
        algorithms: those that it uses.

    Raises:
        ArchiveRefused: it is no manifest.
    """

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self._said: dict[str, tuple[str, str]] = {}
        try:
            lines = data.decode().splitlines()
        except UnicodeDecodeError:
            raise ArchiveRefused("it is not UTF-8", name) from None
        for line in filter(None, map(str.strip, lines)):
            match = _LINE.fullmatch(line)
            if match is None:
                raise ArchiveRefused("it has a line that is none", name)
            algorithm, file, digits = match.groups()
            algorithm = algorithm.lower().replace("-", "")
            if algorithm not in ALGORITHMS:
                raise ArchiveRefused(
                    f"it has digests of another kind than "
                    f"{', '.join(ALGORITHMS)}",
                    name,
                )
            if file in self._said:
                raise ArchiveRefused("it has a file twice", name)
            self._said[file] = algorithm, digits.lower()
        self.algorithms = {algorithm for algorithm, _ in self._said.values()}

    def check(self, found: Mapping[str, Digests], needed: set[str]) -> None:
        """See that all files are what it says.

        Args:
            found: the files of the package.
            needed: those that it must speak of.

        Raises:
            ArchiveRefused: it does not, or it speaks of others.
            DataMismatch: a file is another one.
        """
        for name in sorted(needed - self._said.keys()):
            raise ArchiveRefused(f"it says nothing of {name!r}", self.name)
        for name, (algorithm, expected) in self._said.items():
            if name not in found:
                raise ArchiveRefused(
                    "it speaks of a file that is not there", self.name
                )
            actual = found[name].of(algorithm)
            if actual != expected:
                raise DataMismatch(
                    "digest",
                    f"{algorithm}:{expected}",
                    f"{algorithm}:{actual}",
                    f"{name!r} in the package",
                )
