"""Handlers: the ways to get the data of an image from one location.

A handler is a callable ``(location, destination, context)``. It brings the
data to the destination and returns :class:`Handled`; or it returns
:class:`NotForMe`, if it is not made for such a location, and has touched
nothing; or it raises. Which one was taken is invisible to the caller, but
for the result that names it.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from parallelops.errors import DataMismatch, FetchCancelled, TransferError
from parallelops.landing import Digest

if TYPE_CHECKING:
    import ssl

    from parallelops.executor import Executor
    from parallelops.images.destination import Destination
    from parallelops.images.metrics import Measurement
    from parallelops.runtime import Runtime

__all__ = [
    "FetchContext",
    "FetchOptions",
    "Handled",
    "Handler",
    "NotForMe",
    "Wanted",
]

_log = logging.getLogger(__name__)

_ALGORITHMS = ("sha256", "sha384", "sha512")
_TIB = 1 << 40


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be fetched.

    Attributes:
        size: bytes of the data at the location; None if that is not known.
        digest: its digest, as "sha256:..." or "sha512:..." in hexadecimal
            digits; None if that is not known. Then the size is all that is
            compared.
        container: "bare": the data is what is wanted. "ova": it is a
            package, and wanted is the disk in it. Size and digest are those
            of the package then.
        disk: the name of the disk in a package that has several.
        max_size: more bytes than these are never written. 1 TiB by default.

    Raises:
        ValueError: something can't be what it is.
    """

    size: int | None = None
    digest: str | None = None
    container: Literal["bare", "ova"] = "bare"
    disk: str | None = None
    max_size: int = _TIB

    def __post_init__(self) -> None:
        for option in ("size", "max_size"):
            value = getattr(self, option)
            if value is not None and value < 0:
                raise ValueError(f"{option} must be bytes, not {value!r}")
        if self.container not in ("bare", "ova"):
            raise ValueError(
                f"container must be bare or ova, not {self.container!r}"
            )
        if self.digest is not None:
            if self.digest.partition(":")[0] not in _ALGORITHMS:
                raise ValueError(
                    f"the digest is {self.digest!r}; it must begin with "
                    f"{', '.join(_ALGORITHMS)} and a colon"
                )
            Digest.parse(self.digest)

    @property
    def expected(self) -> Digest | None:
        """The digest, for those who compare."""
        return None if self.digest is None else Digest.parse(self.digest)

    def check_size(self, size: int) -> None:
        """See that the data at a location may have so many bytes.

        Raises:
            DataMismatch: it may not.
        """
        if self.size is not None and size != self.size:
            raise DataMismatch("size", str(self.size), str(size))
        if size > self.max_size:
            raise DataMismatch("size", f"up to {self.max_size}", str(size))

    def new_hash(self) -> Any:
        """What makes the digest of the data, as ``hashlib`` has it; None if
        there is none to compare."""
        expected = self.expected
        return None if expected is None else expected.new_hash()

    def check_digest(self, made: Any) -> None:
        """See that what :meth:`new_hash` gave has come to the digest.

        Raises:
            DataMismatch: it has not.
        """
        if (expected := self.expected) is not None:
            expected.check(made)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FetchOptions:
    """How handlers may go about it.

    Attributes:
        folders: where files may be read. URLs are not trusted: a file
            elsewhere is not for the handler of files. By default there is
            none.
        hard_links: a file may be linked, and not copied. Then both names
            are one file, and whoever writes to one changes the other.
        timeout: seconds that a host may be silent.
        time_limit: seconds that one attempt may take in all.
        connections: how many parts of an image are read at the same time,
            by those who read side by side.
        ssl_context: which hosts are trusted over https; by default those
            that the system trusts.

    Raises:
        ValueError: one of them can't be what it is.
    """

    folders: tuple[Path, ...] = ()
    hard_links: bool = False
    timeout: float = 60.0
    time_limit: float = 6 * 3600.0
    connections: int = 4
    ssl_context: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        for option in ("timeout", "time_limit"):
            seconds = getattr(self, option)
            if not 0 < seconds < math.inf:
                raise ValueError(
                    f"{option} must be seconds above 0, not {seconds!r}"
                )
        if self.connections < 1:
            raise ValueError(
                f"connections must be above 0, not {self.connections!r}"
            )
        folders = tuple(map(Path, self.folders))
        object.__setattr__(self, "folders", folders)


class FetchContext:
    """One attempt, as its handler sees it.

    Attributes:
        wanted: what is to be fetched.
        options: how that may be done.
        runtime: where clocks and sleep come from.
        executor: for those who do several things side by side; None if
            there is none.
    """

    def __init__(
        self,
        wanted: Wanted,
        options: FetchOptions,
        runtime: Runtime,
        measurement: Measurement,
        *,
        executor: Executor | None = None,
        progress: Callable[[int], object] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        self.wanted = wanted
        self.options = options
        self.runtime = runtime
        self.executor = executor
        self._measurement = measurement
        self._progress = progress
        self._cancelled = cancelled
        self._end = runtime.monotonic() + options.time_limit

    def advance(self, size: int) -> None:
        """So many bytes have come so far; a handler says so now and then.

        Raises:
            FetchCancelled: somebody called the fetch off.
            TransferError: it takes too long.
        """
        self.check()
        if size:
            self._measurement.first_byte_came()
        if self._progress is not None:
            try:
                self._progress(size)
            except Exception:  # noqa: BLE001 - it only looks on
                _log.exception("the progress of a fetch cannot be told")

    def check(self) -> None:
        """Raise if it is not to go on. Any thread may ask.

        Raises:
            FetchCancelled: somebody called the fetch off.
            TransferError: it takes too long.
        """
        if self._cancelled is not None and self._cancelled():
            raise FetchCancelled("the fetch was called off")
        if self.runtime.monotonic() > self._end:
            raise TransferError(
                f"it takes more than {self.options.time_limit:g} seconds"
            )


@dataclasses.dataclass(frozen=True, slots=True)
class Handled:
    """The data is at the destination.

    Attributes:
        method: how it came there, such as "reflink".
        checked: the handler has compared size and digest already. Else the
            caller does, and what is at the destination has to be the data
            at the location, byte for byte.
        received: bytes that came in this attempt, where that is not all that
            is at the destination.
    """

    method: str
    checked: bool = False
    received: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class NotForMe:
    """This handler is not made for that location.

    Attributes:
        reason: why, in words without secrets.
    """

    reason: str


Handler = Callable[[Any, "Destination", FetchContext], Handled | NotForMe]
"""Brings data from a location; see the top of this module."""
