"""Where the same data is to be had: at one or several URLs."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from parallelops.origin.copies import HTTPOptions, HTTPOrigin
from parallelops.origin.request import check_url
from parallelops.redact import redact_url

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from parallelops.runtime import Runtime

__all__ = ["HTTPSource", "Origin", "Source", "open_source"]


class Origin(Protocol):
    """A source at work, for one download. Several threads use it.

    Attributes:
        ranged: whether parts can be asked for; None before anybody knows.
        received: bytes that came so far, those included that were of no use.
    """

    @property
    def ranged(self) -> bool | None: ...
    @property
    def received(self) -> int: ...

    def size(self) -> int:
        """How many bytes there are.

        Raises:
            SizeUnknown: nobody says.
            TransferError: there is no answer.
        """

    def stream(
        self, begin: int, end: int, *, early: bool = False
    ) -> Iterator[tuple[int, bytes]]:
        """The data from ``begin`` on, in order, each with its offset.

        It may go on after ``end``, if parts can't be asked for.

        Args:
            early: in that case hand on what comes before ``begin``, too.

        Raises:
            TransferError: it can't be had.
        """

    def close(self) -> None:
        """End what is under way; whoever streams gets an error."""


class Source(Protocol):
    """Where an image can be had without a swarm."""

    def copies(self) -> Sequence[Source]:
        """Each copy as a source of its own; used to find a bad one."""

    def open(self, runtime: Runtime, size: int | None) -> Origin:
        """Begin a download of ``size`` bytes; None if that is not known.

        A source that takes ``check``, too, as :class:`HTTPSource` does, has
        it called by those who wait: only so can a download be called off
        while its own thread reads.
        """


def open_source(
    source: Source,
    runtime: Runtime,
    size: int | None,
    check: Callable[[], object],
) -> Origin:
    """Begin a download that ``check`` ends, in the thread that calls this.

    Other threads that read do not call it; closing the origin ends them.
    """
    if "check" not in inspect.signature(source.open).parameters:
        return source.open(runtime, size)
    here = runtime.ident()

    def check_here() -> None:
        if runtime.ident() == here:
            check()

    checked: Any = source
    origin: Origin = checked.open(runtime, size, check=check_here)
    return origin


class HTTPSource:
    """The same image at one or several ``http://`` or ``https://`` URLs.

    It is read in ranges. Where a copy fails the next one goes on, from the
    byte where the first one stopped. A host that says that it is busy is
    left alone for as long as it asks, or for a random part of a time that
    doubles. A copy whose ETag changes on the way is not used any more. A
    host that takes no ranges is read from begin to end.

    The standard library's ``http.client`` is enough for that: one GET with
    one range, connections that are kept open, no proxies and no cookies.

    Args:
        urls: the copies. They are taken for secrets.
        choose: "random" takes any copy for each part, "measured" the one
            that was fastest so far, and now and then another one.
        refresh: called for new URLs when one is refused as expired
            (401, 403), such as a temporary URL of Swift. It is called in a
            worker, by one at a time.
        timeout: seconds that a host may be silent.
        slowest: bytes a second; a host that is slower for ``timeout``
            seconds is taken for one that has stopped, and an answer that
            breaks off and brought less for one that brought nothing.
        ssl_context: which hosts are trusted over https; by default those
            that the system trusts.
        patient: a host that is busy or broken is asked again. Without that
            it is, too, once it has given something.
        verified: all of the data is compared with a digest in the end. If it
            is not, a read that breaks off goes on only where an ETag says
            that the data is still the same, and there can be but one URL.

    Raises:
        ValueError: one of them can't be what it is.
        TransferError: one of the URLs can't be used.
    """

    def __init__(
        self,
        urls: str | Sequence[str],
        *,
        choose: Literal["random", "measured"] = "random",
        refresh: Callable[[], Sequence[str]] | None = None,
        timeout: float = 30.0,
        slowest: float = 1024.0,
        ssl_context: ssl.SSLContext | None = None,
        patient: bool = True,
        verified: bool = True,
    ) -> None:
        self.urls = (urls,) if isinstance(urls, str) else tuple(urls)
        if not self.urls:
            raise ValueError("a source needs a URL")
        for url in self.urls:
            check_url(url)
        if choose not in ("random", "measured"):
            raise ValueError(
                f"choose must be random or measured, not {choose!r}"
            )
        if not 0 < timeout < math.inf:
            raise ValueError(
                f"timeout must be seconds above 0, not {timeout!r}"
            )
        if not 0 <= slowest < math.inf:
            raise ValueError(f"slowest must be bytes, not {slowest!r}")
        if not verified and len(self.urls) > 1:
            raise ValueError(
                "what is not verified can't be put together from several URLs"
            )
        self._options = HTTPOptions(
            choose=choose,
            refresh=refresh,
            timeout=timeout,
            slowest=slowest,
            ssl_context=ssl_context,
            patient=patient,
            verified=verified,
        )

    def __repr__(self) -> str:
        return f"HTTPSource({[redact_url(url) for url in self.urls]})"

    def copies(self) -> Sequence[HTTPSource]:
        """See :meth:`Source.copies`."""
        alone = []
        for url in self.urls:
            source = HTTPSource(url)
            # New URLs would be those of all copies again.
            source._options = dataclasses.replace(self._options, refresh=None)
            alone.append(source)
        return alone

    def open(
        self,
        runtime: Runtime,
        size: int | None,
        check: Callable[[], object] | None = None,
    ) -> HTTPOrigin:
        """See :meth:`Source.open`.

        Args:
            check: called now and then by those who read or wait; what it
                raises ends that.
        """
        return HTTPOrigin(self.urls, self._options, runtime, size, check)
