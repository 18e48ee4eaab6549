"""Digests by name, and the digest of a file while it is written."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from typing import TYPE_CHECKING, Any

from parallelops.errors import DataMismatch, TransferError

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelops.landing.blocks import Blocks

__all__ = ["Digest", "RunningDigest"]

ALGORITHMS = (
    "sha256",
    "sha384",
    "sha512",
    "sha3_256",
    "sha3_384",
    "sha3_512",
    "blake2b",
    "blake2s",
)
"""What Ironic and Glance name in ``os_hash_algo``, without those that are
broken (md5, sha1) or have no length of their own."""

_SLICE = 8 << 20  # bytes; a hash makes that in some 10 ms
_PIECE = 1 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class Digest:
    """What the data has to come to.

    Attributes:
        algorithm: one of ``ALGORITHMS``, as Ironic's ``os_hash_algo``.
        value: hexadecimal digits in lower case, as its ``os_hash_value``.

    Raises:
        ValueError: it can't be a digest.
    """

    algorithm: str
    value: str

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ValueError(
                f"the digest is of {self.algorithm!r}; it must be one of "
                f"{', '.join(ALGORITHMS)}"
            )
        length = 2 * hashlib.new(self.algorithm).digest_size
        if not re.fullmatch(f"[0-9a-fA-F]{{{length}}}", self.value):
            raise ValueError(
                f"a digest of {self.algorithm} has {length} hexadecimal digits"
            )
        object.__setattr__(self, "value", self.value.lower())

    @classmethod
    def parse(cls, text: str) -> Digest:
        """The digest that "sha512:..." names.

        Raises:
            ValueError: it names none.
        """
        algorithm, _, value = text.partition(":")
        return cls(algorithm, value)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value}"

    def new_hash(self) -> Any:
        """What makes such a digest, as ``hashlib`` has it."""
        return hashlib.new(self.algorithm)

    def check(self, made: Any, of: str = "the data") -> None:
        """See that what :meth:`new_hash` gave has come to this digest.

        Raises:
            DataMismatch: it has not.
        """
        if made.hexdigest() != self.value:
            actual = f"{self.algorithm}:{made.hexdigest()}"
            raise DataMismatch("digest", str(self), actual, of)


class RunningDigest:
    """Makes the digest of a file from what is on it, as it grows.

    It reads the file again rather than look at what is written to it: what
    it has verified is what is there. One thread uses it.

    Args:
        digest: what the file has to come to.
        read: reads from the file: so many bytes, at an offset.
        blocks: which parts of it have been written.
    """

    def __init__(
        self,
        digest: Digest,
        read: Callable[[int, int], bytes],
        blocks: Blocks,
    ) -> None:
        self._digest = digest
        self._read = read
        self._blocks = blocks
        self._hash = digest.new_hash()
        self.position = 0

    def advance(self) -> bool:
        """Take in a little more; False if no more can be had for now.

        Raises:
            TransferError: the file is shorter than it has to be.
            DestinationError: it can't be read.
        """
        end = self._blocks.written_up_to(self.position)
        end = min(end, self.position + _SLICE)
        if end == self.position:
            return False
        while self.position < end:
            count = min(_PIECE, end - self.position)
            data = self._read(count, self.position)
            if not data:
                raise TransferError(
                    f"the file ends after {self.position} bytes; somebody "
                    "else has made it shorter"
                )
            self._hash.update(data)
            self.position += len(data)
        return True

    def finish(self) -> None:
        """Take in the rest and compare.

        Raises:
            DataMismatch: it is not the data that was asked for.
            TransferError: not all of it is there.
            DestinationError: it can't be read.
        """
        while self.advance():
            pass
        if self.position != self._blocks.size:
            raise TransferError(
                f"only {self.position} of {self._blocks.size} bytes came"
            )
        self._digest.check(self._hash)
