"""Hypothesis strategies: locations, operations, and what goes wrong.

They make plain values, so that what a test was given can be read in its
report, shrunk by hypothesis, and run again under other schedules. Needs
hypothesis.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from parallelops.errors import MissingDependency
from parallelops.images.location import Location, LocationStatus
from parallelops.testing.fakes import Fault, WriteFault

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise MissingDependency(
        "parallelops.testing.strategies", "hypothesis", None
    ) from error

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "SECRET",
    "Mode",
    "Operation",
    "OperationOutcome",
    "images",
    "locations",
    "operations",
    "store_faults",
    "urls",
    "write_faults",
]

SECRET = "hunter2"  # noqa: S105 - it is to be seen if it gets out
"""The one secret that URLs of :func:`urls` have, for tests that look for it
where it must not be."""

T = TypeVar("T")

Mode = Literal["exclusive", "shared", "bypass"]
"""How an operation stands to the others of its key."""

OperationOutcome = Literal["returns", "raises", "hangs", "cancelled"]
"""How an operation ends: it returns, it raises, it returns after an hour,
or its submitter cancels it."""

_NAME = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.", min_size=1).filter(
    lambda name: name.strip(".")
)
_TIMES = st.floats(0, 4e9)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation that a test has somebody submit.

    Attributes:
        key: what it works on.
        mode: how it stands to the others of its key.
        outcome: how it ends.
        submitter: the number of the thread that submits it, from 0. Each
            submits its own in the order of the list.
    """

    key: str
    mode: Mode = "exclusive"
    outcome: OperationOutcome = "returns"
    submitter: int = 0


def urls() -> st.SearchStrategy[str]:
    """Where data may be, in the words of several stores.

    Some have :data:`SECRET`, as a password or as a signature.
    """
    path = st.lists(_NAME, min_size=1, max_size=3).map("/".join)
    forms = [
        "file:///{}",
        "https://host/{}",
        "rbd://cluster/pool/{}/snap",
        f"swift+https://user:{SECRET}@host/v1/{{}}",
        f"s3://access:{SECRET}@host/bucket/{{}}",
        f"https://host/{{}}?temp_url_sig={SECRET}&temp_url_expires=1",
    ]
    return st.builds(str.format, st.sampled_from(forms), path)


@st.composite
def locations(
    draw: st.DrawFn,
    *,
    statuses: Iterable[LocationStatus] = LocationStatus,
    stores: Iterable[str | None] = (None, "fast", "cheap"),
) -> Location:
    """One location. It has a time of deletion if its status says that it
    was deleted, and may have one if it was restored.

    Args:
        statuses: those to choose from.
        stores: the names to choose from.
    """
    status = draw(st.sampled_from(list(statuses)))
    never = {
        LocationStatus.PENDING: st.none(),
        LocationStatus.ACTIVE: st.none() | _TIMES,
    }
    return Location(
        id=draw(st.integers(1, 2**63 - 1)),
        image_id=draw(st.uuids().map(str)),
        url=draw(urls()),
        store=draw(st.sampled_from(list(stores))),
        status=status,
        deleted_at=draw(never.get(status, _TIMES)),
    )


@st.composite
def images(
    draw: st.DrawFn, *, max_images: int = 4, max_locations: int = 3
) -> dict[str, list[str]]:
    """Images and the URLs of their locations, as ``MemoryCatalog`` takes
    them. No URL comes twice; an image may have none.

    Args:
        max_images: how many images at the most.
        max_locations: how many locations one has at the most.
    """
    counts = draw(st.lists(st.integers(0, max_locations), max_size=max_images))
    return {
        f"image-{image}": [
            f"memory://store/{image}/{number}" for number in range(count)
        ]
        for image, count in enumerate(counts)
    }


def operations(
    *,
    keys: Iterable[str] = ("a", "b", "c"),
    modes: Iterable[Mode] = get_args(Mode),
    outcomes: Iterable[OperationOutcome] = get_args(OperationOutcome),
    submitters: int = 3,
    max_size: int = 12,
) -> st.SearchStrategy[list[Operation]]:
    """What several threads submit, in the order of the list.

    Args:
        keys: those to choose from.
        modes: those to choose from.
        outcomes: those to choose from.
        submitters: how many threads at the most.
        max_size: how many operations at the most.
    """
    return st.lists(
        st.builds(
            Operation,
            key=st.sampled_from(list(keys)),
            mode=st.sampled_from(list(modes)),
            outcome=st.sampled_from(list(outcomes)),
            submitter=st.integers(0, submitters - 1),
        ),
        max_size=max_size,
    )


def store_faults(
    urls: Iterable[str],
    *,
    kinds: Iterable[Fault] = get_args(Fault),
    max_calls: int = 3,
) -> st.SearchStrategy[dict[str, list[Fault | None]]]:
    """What goes wrong with a ``MemoryStore``: for some of ``urls``, call by
    call. None is a call that goes well; so do those after the last.

    Args:
        urls: the locations that it may go wrong with.
        kinds: what may go wrong.
        max_calls: of how many calls of one URL at the most.
    """
    known = list(urls)
    if not known:
        return st.just({})
    return st.dictionaries(
        st.sampled_from(known), _calls(list(kinds), max_calls)
    )


def write_faults(
    *,
    kinds: Iterable[WriteFault] = get_args(WriteFault),
    max_calls: int = 4,
) -> st.SearchStrategy[list[WriteFault | None]]:
    """What goes wrong with what records, a ``MemoryCatalog`` or a journal:
    write by write. None is one that goes well; so do those after the last.

    Args:
        kinds: what may go wrong.
        max_calls: of how many writes at the most.
    """
    return _calls(list(kinds), max_calls)


def _calls(
    kinds: list[T], max_calls: int
) -> st.SearchStrategy[list[T | None]]:
    call = st.none() | st.sampled_from(kinds) if kinds else st.none()
    # Calls that go well after the last fault are as good as none.
    return st.lists(call, max_size=max_calls).filter(
        lambda calls: not calls or calls[-1] is not None
    )
