"""An origin that is read by somebody else's requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelops.errors import SizeUnknown, TransferError
from parallelops.redact import redact_text, redact_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from parallelops.download import Origin, Source
    from parallelops.runtime import Runtime

__all__ = ["ResponseSource"]

_PIECE = 1 << 20


class ResponseSource:
    """A URL that is read from begin to end, without ranges.

    The response that says how large it is, is kept for who reads next.

    Args:
        url: what is read; it is taken for a secret.
        ask: gives a response as those of ``requests``, in the making. What
            it raises means that there is none.
    """

    def __init__(self, url: str, ask: Callable[[], Any]) -> None:
        self._url = url
        self._ask = ask
        self._kept: list[Any] = []

    def __repr__(self) -> str:
        return f"ResponseSource({redact_url(self._url)!r})"

    def copies(self) -> Sequence[Source]:
        """See :meth:`parallelops.download.Source.copies`."""
        return [self]

    def open(self, runtime: Runtime, size: int | None) -> Origin:
        """See :meth:`parallelops.download.Source.open`."""
        return _ResponseOrigin(
            redact_url(self._url), self._ask, size, self._kept
        )


class _ResponseOrigin:
    ranged = False

    def __init__(
        self,
        shown: str,
        ask: Callable[[], Any],
        size: int | None,
        kept: list[Any],
    ) -> None:
        self.received = 0
        self._shown = shown
        self._ask = ask
        self._size = size
        self._kept = kept
        self._closed = False

    def size(self) -> int:
        if self._size is None:
            response = self._response()
            said = response.headers.get("Content-Length")
            if said is None or not str(said).isdecimal():
                response.close()
                raise SizeUnknown(f"{self._shown} does not say its size")
            self._size = int(said)
            self._kept.append(response)
        return self._size

    def stream(
        self, begin: int, end: int, *, early: bool = False
    ) -> Iterator[tuple[int, bytes]]:
        response = self._response()
        begin = 0 if early else begin
        position = 0
        try:
            for data in response.iter_content(_PIECE):
                if self._closed:
                    raise TransferError("the download was ended")
                offset, position = position, position + len(data)
                self.received += len(data)
                if self._size is not None and position > self._size:
                    raise TransferError(f"{self._shown} sends too much")
                if position > begin:
                    skip = max(begin - offset, 0)
                    yield offset + skip, data[skip:]
        except OSError as error:  # those of requests are
            raise self._failed(error) from error
        finally:
            response.close()
        if position < end:
            raise TransferError(f"{self._shown} ends at byte {position}")

    def close(self) -> None:
        self._closed = True

    def _response(self) -> Any:
        try:
            return self._kept.pop() if self._kept else self._ask()
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> TransferError:
        return TransferError(f"{self._shown}: {redact_text(str(error))}")
