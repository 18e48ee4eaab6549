"""How large an image is, when only its sources know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelops.errors import SizeUnknown, TransferError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelops.origin import Source
    from parallelops.runtime import Runtime

__all__ = ["ask_size"]

_LARGEST = 1 << 44  # 16 TiB; a host that says more is not believed


def ask_size(sources: Iterable[Source], runtime: Runtime) -> int:
    """How many bytes the first source says that there are.

    Raises:
        SizeUnknown: none says, though one answers.
        TransferError: none answers.
    """
    failures = []
    for source in sources:
        origin = source.open(runtime, None)
        try:
            size = origin.size()
        except TransferError as error:
            failures.append(error)
        else:
            if size <= _LARGEST:
                return size
            said = f"a host says it has {size} bytes"
            failures.append(TransferError(said))
        finally:
            origin.close()
    reasons = "; ".join(map(str, failures))
    if any(isinstance(error, SizeUnknown) for error in failures):
        raise SizeUnknown(reasons)
    raise TransferError(reasons)
