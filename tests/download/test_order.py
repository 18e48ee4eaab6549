"""Which pieces come first, under a clock of the test."""

from __future__ import annotations

import pytest

from parallelops.download.member import MemberView, Peer
from parallelops.download.order import Order
from parallelops.testing import FakeClock


@pytest.mark.parametrize(
    ("complete", "incomplete", "first"),
    [
        (0, 0, False),
        (1, 0, True),
        (2, 1, False),
        (3, 1, True),
        (3, 9, False),
    ],
)
def test_the_rarest_comes_first_where_members_need_each_other(
    complete, incomplete, first
):
    """All would ask for the same, and have nothing to give for long."""
    has_all = [True] * complete + [False] * incomplete
    view = MemberView(
        have=[False],
        availability=[0],
        peers=tuple(
            Peer(bytes([number]) * 20, ("h", number), each)
            for number, each in enumerate(has_all)
        ),
        members=1 + len(has_all),
        received=0,
        sent=0,
        checking=False,
        error="",
    )
    clock = FakeClock()
    order = Order(clock)
    # Others may still be on their way.
    assert not order.look(view)
    clock.advance(0.5)
    assert order.look(view) == first
