"""Reads what several URLs have, each going on where another one failed."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from parallelops.errors import DataMismatch, SizeUnknown, TransferError
from parallelops.origin.connections import Connections, Refusal
from parallelops.origin.request import Answer, check_url
from parallelops.redact import redact_url

if TYPE_CHECKING:
    import ssl
    from collections.abc import Generator, Iterator

    from parallelops.runtime import Event, Runtime

__all__ = ["HTTPOptions", "HTTPOrigin"]

# Attempts in a row, at all copies together, that brought next to nothing.
_MOST_FAILURES = 8
_MOST_REFRESHES = 50
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 30.0
# No host is left alone for longer, whatever it asks.
_LONGEST_REQUEST = 300.0
# Seconds for which an answer that breaks off has to bring data at the least.
_WORTH = 1.0
_LOOK = 0.5  # seconds between two looks at whether to go on
# How often a copy is tried that was not the fastest lately.
_EXPLORE = 0.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class HTTPOptions:
    """What :class:`HTTPSource` was told."""

    choose: Literal["random", "measured"]
    refresh: Callable[[], Sequence[str]] | None
    timeout: float
    slowest: float
    ssl_context: ssl.SSLContext | None
    patient: bool
    verified: bool


class _Copy:
    """One URL, and how it did so far."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.tag: str | None = None
        self.ranged: bool | None = None
        self.given = False
        self.useless = ""
        self.rate = math.inf  # bytes a second; untried ones go first
        self.not_before = -math.inf
        self.failures = 0  # in a row


class HTTPOrigin:
    """A download from the copies of one source; see :class:`Origin`.

    Attributes:
        received: bytes that came so far, those of no use included.
    """

    def __init__(
        self,
        urls: Sequence[str],
        options: HTTPOptions,
        runtime: Runtime,
        size: int | None,
        check: Callable[[], object] | None,
    ) -> None:
        self.received = 0
        self._check = check or (lambda: None)
        self._options = options
        self._runtime = runtime
        self._size = size
        self._lock = runtime.lock()
        self._copies = [_Copy(url) for url in urls]
        self._renewal: Event | None = None
        self._refreshes = 0
        self._closed = runtime.event()
        self._connections = Connections(
            runtime, options.timeout, options.slowest, options.ssl_context
        )

    @property
    def ranged(self) -> bool | None:
        """Whether parts can be asked for; None before anybody knows."""
        known = [c.ranged for c in self._copies if not c.useless]
        if True in known:
            return True
        return False if known and None not in known else None

    def ask(self) -> int | None:
        """How many bytes there are; None if the host does not say.

        Raises:
            TransferError: there is no answer.
        """
        if self._size is None:
            with contextlib.closing(self.stream(0, 1)) as answer:
                next(answer, None)
        return self._size

    def size(self) -> int:
        """See :meth:`Origin.size`."""
        size = self.ask()
        if size is None:
            raise SizeUnknown("no host says how much data there is")
        return size

    def stream(
        self, begin: int, end: int, *, early: bool = False
    ) -> Generator[tuple[int, bytes], None, None]:
        """See :meth:`Origin.stream`.

        The end may be beyond that of the data, of which nobody may have said
        how much there is.
        """
        position, failures, reasons = begin, 0, dict[str, None]()
        while position < end:
            copy = self._choose(reasons)
            came, held = 0, 0.0
            clock = self._runtime.monotonic
            started = clock()
            try:
                for offset, data in self._read(copy, position, end, early):
                    early = False  # another answer goes on after this one
                    came += len(data)
                    position = offset + len(data)
                    handed = clock()
                    yield offset, data
                    held += clock() - handed
                # Of a host that says no size, the end is where it ends.
                end = min(end, position if self._size is None else self._size)
                if position < end:
                    raise Refusal("broken", f"it ends at byte {position}")
                self._measure(copy, came, started)
            except Refusal as error:
                if self._closed.is_set():
                    raise
                shown = redact_url(copy.url)
                reasons[f"{shown}: {error}"] = None
                # A byte each time would be no end.
                seconds = max(clock() - started - held, _WORTH)
                useful = came > 0 and came >= seconds * self._options.slowest
                failures = 0 if useful else failures + 1
                if failures >= _MOST_FAILURES:
                    raise _failed(reasons) from error
                self._punish(copy, error, useful)

    def close(self) -> None:
        """See :meth:`Origin.close`."""
        self._closed.set()
        self._connections.close()

    # -- one copy

    def _read(
        self, copy: _Copy, begin: int, end: int, early: bool
    ) -> Iterator[tuple[int, bytes]]:
        with Answer(
            self._connections, copy.url, begin, end, copy.tag
        ) as answer:
            self._compare(copy, answer)
            if not answer.ranged and self.ranged:
                raise Refusal("broken", "it takes no ranges, others do")
            position = answer.begin
            begin = position if early else begin
            for data in answer.pieces():
                self._check()
                with self._lock:
                    self.received += len(data)
                    copy.given = True
                offset, position = position, position + len(data)
                if self._size is not None and position > self._size:
                    raise Refusal("useless", "it sends too much")
                if position > begin:
                    skip = max(begin - offset, 0)
                    yield offset + skip, data[skip:]

    def _compare(self, copy: _Copy, answer: Answer) -> None:
        """See that it is the data that other answers are of."""
        if not (answer.framed or self._options.verified):
            # The end of the connection may be that of the data, or not.
            raise Refusal("useless", "it does not say how much data it has")
        with self._lock:
            copy.ranged = answer.ranged
            if self._size is None:
                self._size = answer.size
            elif answer.size not in (None, self._size):
                what = DataMismatch("size", str(self._size), str(answer.size))
                raise Refusal("useless", str(what))
            if copy.tag is None:
                copy.tag = answer.tag
            elif copy.tag != answer.tag:
                raise Refusal("useless", "its data has changed meanwhile")

    def _choose(self, reasons: dict[str, None]) -> _Copy:
        """The copy to ask, once it may be asked."""
        while True:
            self._check()
            now = self._runtime.monotonic()
            with self._lock:
                usable = [c for c in self._copies if not c.useless]
                if not usable:
                    for copy in self._copies:
                        reasons[f"{redact_url(copy.url)}: {copy.useless}"] = (
                            None
                        )
                    raise _failed(reasons)
                # Ranges are worth more than any rate.
                good = [c for c in usable if c.ranged is not False] or usable
                ready = [c for c in good if c.not_before <= now]
                if ready:
                    return self._pick(ready)
                pause = min(c.not_before for c in good) - now
            if self._closed.wait(min(pause, _LOOK)):
                raise Refusal("useless", "the download was ended")

    def _pick(self, copies: list[_Copy]) -> _Copy:
        chance = self._runtime.random
        if self._options.choose == "random" or chance.random() < _EXPLORE:
            return chance.choice(copies)
        best = max(copy.rate for copy in copies)
        return chance.choice([c for c in copies if c.rate == best])

    def _measure(self, copy: _Copy, came: int, started: float) -> None:
        rate = came / max(self._runtime.monotonic() - started, 1e-6)
        with self._lock:
            known = math.isfinite(copy.rate)
            copy.rate = (copy.rate + rate) / 2 if known else rate
            copy.failures = 0

    def _punish(self, copy: _Copy, error: Refusal, useful: bool) -> None:
        if error.kind == "expired" and self._refresh(copy):
            return
        with self._lock:
            copy.rate = 0.0
            options = self._options
            if (
                error.kind in ("useless", "expired")
                or not (options.patient or copy.given)
                # Nobody could say whether the data is still the same.
                or (copy.given and copy.tag is None and not options.verified)
            ):
                copy.useless = str(error)
                return
            copy.failures = 0 if useful else copy.failures + 1
            doubled = _FIRST_PAUSE * 2 ** min(copy.failures, 10)
            pause = self._runtime.random.uniform(0, doubled)
            pause = min(pause, _LONGEST_PAUSE)
            pause = max(pause, min(error.pause, _LONGEST_REQUEST))
            copy.not_before = self._runtime.monotonic() + pause

    def _refresh(self, expired: _Copy) -> bool:
        """Have new URLs: asked for here, or by another thread."""
        if self._options.refresh is None:
            return False
        mine = self._runtime.event()
        with self._lock:
            if expired not in self._copies:
                return True
            others = self._renewal
            if others is None:
                if self._refreshes >= _MOST_REFRESHES:
                    return False
                self._refreshes += 1
                self._renewal = mine
        if others is not None:
            others.wait(self._options.timeout)
            return expired not in self._copies
        copies: list[_Copy] = []
        try:
            copies = self._new_copies()
        finally:
            with self._lock:
                self._copies = copies or self._copies
                self._renewal = None
            mine.set()
        return bool(copies)

    def _new_copies(self) -> list[_Copy]:
        if self._options.refresh is None:
            return []
        try:
            urls = self._options.refresh()
            for url in urls:
                check_url(url)
        except Refusal:
            raise
        except Exception as error:
            raise TransferError(
                f"new URLs could not be had: {type(error).__name__}"
            ) from error
        # Signatures differ, but not the data at a path.
        tags = {_path(copy.url): copy.tag for copy in self._copies}
        copies = [_Copy(url) for url in urls]
        for copy in copies:
            copy.tag = tags.get(_path(copy.url))
        return copies


def _path(url: str) -> str:
    return url.partition("?")[0]


def _failed(reasons: dict[str, None]) -> TransferError:
    return TransferError(
        "the origin does not give the data: " + "; ".join(reasons)
    )
