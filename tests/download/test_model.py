"""Herds that are too large for this machine: benchmarks/herdmodel.py."""

from __future__ import annotations

import pytest
from benchmarks.herdmodel import Case, Model

HERD = {"agents": 500, "racks": 10, "pieces": 32}


@pytest.mark.once
@pytest.mark.parametrize(
    "case",
    [
        Case(**HERD, spread=30.0),
        # It takes longer to answer all of them than they need for the rest.
        Case(**HERD, requests=40.0),
    ],
    ids=["staggered", "at once, and a slow tracker"],
)
def test_five_hundred_read_the_origin_about_once(case):
    """By the real plan, gates and leases."""
    found = Model(case).run()
    assert 1.0 <= found["origin / image"] <= 1.5
    assert found["in the rack"] > 0.7


@pytest.mark.once
def test_racks_of_two_are_not_cut_off():
    """They come one after the other, and most know few."""
    found = Model(Case(agents=1000, racks=500, spread=60.0)).run()
    assert 1.0 <= found["origin / image"] <= 1.2
    assert found["seconds, last"] < 3 * found["seconds, median"]
