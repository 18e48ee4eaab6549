"""What asks a tracker, for a lease or for how many there are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from parallelops.download.bencode import decode
from parallelops.download.lease import Grant
from parallelops.errors import SwarmError, TorrentRefused, TransferError
from parallelops.origin import Answer, Connections

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelops.runtime import Runtime

__all__ = ["lease_client", "scrape"]

# In it, a packet that asks for a connection is sent three times.
_SIGN = 4.0
_HASH = 20
_LARGEST_ANSWER = 1 << 16
_LONGEST_LEASE = 86400.0
_MOST_PLACES = 1 << 31


def lease_client(
    tracker: str, runtime: Runtime, *, timeout: float = 30.0
) -> Callable[[bytes, bytes], Grant]:
    """What asks a tracker for a lease, for :class:`Lease`.

    Args:
        tracker: its URL, as torrents have it, ending in ``/announce``.
        runtime: where the clock comes from.
        timeout: seconds to wait for an answer. A tracker that is asked by
            ten thousand at once takes as long. One that gives no sign is
            given up after some seconds.

    Raises:
        ValueError: it is no such URL.
    """
    url_of = _requests_of(tracker)

    def ask(image: bytes, peer: bytes) -> Grant:
        url = url_of("lease", info_hash=image, peer_id=peer)
        said = _asked(url, runtime, timeout, _SIGN)
        try:
            return _grant(json.loads(said))
        except (
            *(KeyError, OverflowError, TypeError, ValueError),
            RecursionError,  # it is nested too deep
        ) as error:
            raise TransferError("the tracker's answer is no lease") from error

    return ask


def scrape(
    tracker: str, image: bytes, runtime: Runtime, *, timeout: float = 5.0
) -> tuple[int, int]:
    """Ask a tracker how many take part in the swarm of an image (BEP 48).

    Args:
        tracker: its URL, as torrents have it, ending in ``/announce``.
        image: the info-hash.
        runtime: where the clock comes from.
        timeout: seconds to wait for an answer.

    Returns:
        How many have all of it, and how many have not.

    Raises:
        SwarmError: it does not serve the image.
        TransferError: it does not answer, or says something else.
        ValueError: it is no such URL.
    """
    url = _requests_of(tracker)("scrape", info_hash=image)
    answer = _asked(url, runtime, timeout)
    try:
        return _counts(decode(answer)[b"files"].get(image))
    except (
        *(AttributeError, KeyError, TypeError, ValueError),
        TorrentRefused,  # it is not bencoded
    ) as error:
        raise TransferError("the tracker's answer is no scrape") from error


def _requests_of(tracker: str) -> Callable[..., str]:
    base, slash, end = tracker.rpartition("/")
    if not slash or end != "announce":
        raise ValueError("the URL of a tracker ends in /announce")

    def url_of(what: str, **fields: bytes) -> str:
        query = "&".join(f"{k}={quote(v)}" for k, v in fields.items())
        return f"{base}/{what}?{query}"

    return url_of


def _asked(
    url: str, runtime: Runtime, timeout: float, sign: float | None = None
) -> bytes:
    connections = Connections(runtime, timeout, 0.0, None, sign)
    until = runtime.monotonic() + timeout
    try:
        with Answer(connections, url, 0, _LARGEST_ANSWER) as answer:
            if answer.size is None or answer.size > _LARGEST_ANSWER:
                raise TransferError("the tracker's answer is too long")
            got = bytearray()
            for piece in answer.pieces():
                got += piece
                late = runtime.monotonic() > until
                if late and len(got) < answer.size:
                    raise TransferError("the tracker's answer takes too long")
            return bytes(got)
    finally:
        connections.close()


def _counts(said: Any) -> tuple[int, int]:
    if said is None:
        raise SwarmError("this image is not served there")
    counts = int(said[b"complete"]), int(said[b"incomplete"])
    if min(counts) < 0:
        raise ValueError("it can't be")
    return counts


def _grant(said: Any) -> Grant:
    if not isinstance(said["holders"], list):
        raise TypeError("it names nobody")
    grant = Grant(
        place=None if said["place"] is None else int(said["place"]),
        places=int(said["places"]),
        seconds=float(said["seconds"]),
        holders=tuple(bytes.fromhex(text) for text in said["holders"]),
        begins=bool(said["begins"]),
    )
    if (
        not 0 < grant.places <= _MOST_PLACES
        or not 0 < grant.seconds <= _LONGEST_LEASE
        or not (grant.place is None or 0 <= grant.place < grant.places)
        or len(grant.holders) > grant.places
        or any(len(holder) != _HASH for holder in grant.holders)
    ):
        raise ValueError("it can't be")
    return grant
