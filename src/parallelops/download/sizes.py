"""How large an image is, when only its sources know."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from parallelops.errors import SizeUnknown, TransferError
from parallelops.origin import open_source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelops.download.image import Image
    from parallelops.download.transfer import Transfer
    from parallelops.origin import Source

__all__ = ["sized"]

_LARGEST = 1 << 44  # 16 TiB; a host that says more is not believed


def sized(image: Image, transfer: Transfer) -> Image:
    """The image, with a size: the sources are asked if it has none.

    Raises:
        SizeUnknown: none says, though one answers.
        TransferError: none answers, or it takes too long.
        FetchCancelled: it was called off.
    """
    if image.size is not None:
        return image
    size = _ask_size(image.sources, transfer)
    return dataclasses.replace(image, size=size)


def _ask_size(sources: Iterable[Source], transfer: Transfer) -> int:
    failures = []
    for source in sources:
        transfer.check()
        origin = open_source(source, transfer.runtime, None, transfer.check)
        try:
            size = origin.size()
        except TransferError as error:
            transfer.check()
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
