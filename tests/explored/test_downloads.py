"""Leases and new URLs, under many schedules."""

from __future__ import annotations

import os

from parallelops.download.register import Announcement, Register
from parallelops.landing.blocks import BLOCK, Blocks
from parallelops.origin import HTTPSource
from parallelops.testing import explore

SCHEDULES = int(os.environ.get("PARALLELOPS_SCHEDULES", "500"))

explored = explore(
    max(SCHEDULES // 2, 20),
    preempt=[
        "parallelops/download/register.py",
        "parallelops/origin/copies.py",
        "parallelops/landing/blocks.py",
    ],
)

IMAGE = b"i" * 20


@explored
def test_a_place_is_held_by_one(sim):
    """However the requests of agents meet."""
    register = Register(sim.runtime, places=2, lease=10.0)
    places = {}

    def agent(number):
        peer = b"%020d" % number
        register.announce(
            Announcement(
                image=IMAGE, peer=peer, host="10.0.0.1", port=1, left=1
            )
        )
        places[number] = register.lease(IMAGE, peer).place

    threads = [
        sim.runtime.spawn(lambda n=n: agent(n), name=f"agent-{n}")
        for n in range(4)
    ]
    for thread in threads:
        thread.join()
    assert sorted(p for p in places.values() if p is not None) == [0, 1]
    assert register.count(IMAGE) == (0, 4)


@explored
def test_new_urls_are_asked_for_once(sim):
    """By whoever finds the old ones expired; the others wait for them."""
    asked = []

    def refresh():
        asked.append(1)
        sim.runtime.sleep(1.0)
        return ["http://10.0.0.1/new"]

    source = HTTPSource("http://10.0.0.1/old", refresh=refresh)
    origin = source.open(sim.runtime, 1)
    expired = origin._copies[0]
    answers = []
    threads = [
        sim.runtime.spawn(
            lambda: answers.append(origin._refresh(expired)), name=f"read-{n}"
        )
        for n in range(3)
    ]
    for thread in threads:
        thread.join()
    assert answers == [True] * 3
    assert len(asked) == 1
    assert origin._copies[0].url.endswith("new")


@explored
def test_no_mark_is_lost(sim):
    """Each thread marks blocks of its own."""
    blocks = Blocks(8 * BLOCK)

    def mark(first):
        for number in range(first, 8, 2):
            blocks.mark(number * BLOCK, (number + 1) * BLOCK)

    threads = [
        sim.runtime.spawn(lambda n=n: mark(n), name=f"read-{n}")
        for n in range(2)
    ]
    for thread in threads:
        thread.join()
    assert blocks.has(0, 8 * BLOCK)
