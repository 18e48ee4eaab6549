"""Gates: who goes to the origin, told from what each agent can see."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.download.registers import IMAGE, ids, said

from parallelops.download import (
    Always,
    GateContext,
    Grant,
    Lease,
    Lottery,
    Nearby,
    Never,
    Outlook,
    Rendezvous,
    View,
    decide,
    load_gate,
)
from parallelops.errors import PluginError
from parallelops.plugins import ORIGIN_GATES
from parallelops.testing import ManualExecutor


def view_of(me, others, **options):
    peers = tuple(other for other in others if other != me)
    return View(image=IMAGE, me=me, peers=peers, **options)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 100), st.integers(1, 12))
def test_whoever_sees_the_same_agrees(count, extents, fetchers):
    """Each extent has one owner, no more go than shall, and all of those
    have as much to do."""
    agents = ids(count)
    passes = [
        Rendezvous(fetchers).admit(view_of(me, agents, extents=extents))
        for me in agents
    ]
    admitted = [each for each in passes if each.owns is not None]
    assert len(admitted) == min(count, fetchers)
    owned = [list(filter(p.owns, range(extents))) for p in admitted]
    assert sorted(e for own in owned for e in own) == list(range(extents))
    assert max(map(len, owned)) <= -(-extents // len(admitted))


def test_with_one_gone_the_others_keep_most_of_what_they_have():
    """So what they have begun is not begun by others."""
    agents = ids(10)

    def owned(me, alive):
        owns = Always().admit(view_of(me, alive, extents=1000)).owns
        return set(filter(owns, range(1000)))

    for me in agents[1:]:
        assert len(owned(me, agents) & owned(me, agents[1:])) >= 75


def test_a_lottery_has_about_so_many_winners():
    """However little each sees of the swarm."""
    agents = ids(10_000)
    chance = random.Random(3)
    winners = sum(
        Lottery(8)
        .admit(view_of(me, chance.sample(agents, 5), members=10_000))
        .owns
        is not None
        for me in agents
    )
    assert 1 <= winners <= 20


def test_nobody_goes_unless_the_swarm_stands_still():
    """The last resort is for all gates."""
    view = view_of(b"me", ids(3))
    outlook = {"view": view, "missing": 5, "nowhere": 5}
    assert decide(Outlook(**outlook), Never()).way == "swarm"
    assert decide(Outlook(**outlook, stalled=True), Never()).way == "both"


@pytest.mark.parametrize(
    ("others", "nowhere", "origin", "way", "reason"),
    [
        (0, 9, "", "origin", "nobody else"),
        (0, 9, "it is down", "swarm", "down"),
        (3, 0, "", "swarm", "has all of it"),
        (3, 4, "", "both", "everybody goes"),
    ],
)
def test_a_decision_has_its_reason(others, nowhere, origin, way, reason):
    """Which ends in the result and in the log."""
    outlook = Outlook(
        view=view_of(b"me", ids(others)),
        missing=9,
        nowhere=nowhere,
        origin=origin,
    )
    decision = decide(outlook, Always())
    assert decision.way == way
    assert reason in decision.reason


# -- leases


def test_a_lease_is_kept_and_runs_out(register, clock):
    """Two places, three who ask."""
    one, two, three = ids(3)

    def place(peer):
        return register.lease(IMAGE, peer).place

    assert place(one) == 0
    assert place(two) == 1
    assert place(three) is None
    assert register.lease(IMAGE, three).holders == (one, two)
    clock.advance(20)
    assert place(two) == 1
    clock.advance(20)
    assert place(three) == 0
    assert place(two) == 1


def test_only_the_first_ones_begin_at_once(register, clock):
    """Who comes later may find that others have it; so does who comes once
    all have gone."""
    one, two = ids(2)
    assert register.lease(IMAGE, one).begins
    register.announce(said(one))
    clock.advance(1.5)
    assert not register.lease(IMAGE, two).begins
    register.announce(said(one, stopped=True))
    clock.advance(60)
    assert register.lease(IMAGE, two).begins


def test_leases_share_the_extents(register, clock):
    """Each has one owner, and all who hold one have as much to do."""
    everybody = ids(3)
    for peer in everybody:
        register.lease(IMAGE, peer)
    view = {"others": everybody, "extents": 100}
    passes = [
        Lease(register.lease).admit(view_of(me, **view)) for me in everybody
    ]
    assert [p.owns is not None for p in passes] == [True, True, False]
    assert not passes[2].steals
    for extent in range(100):
        assert sum(bool(p.owns and p.owns(extent)) for p in passes) == 1
    assert sum(map(passes[0].owns, range(100))) == 50


def test_who_holds_a_lease_learns_of_others_soon(register, clock):
    """The first one does not read all of it while others come."""
    one, two = ids(2)
    gate = Lease(register.lease)
    assert all(map(gate.admit(view_of(one, [], extents=9)).owns, range(9)))
    register.lease(IMAGE, two)
    admitted = gate.admit(view_of(one, [], extents=9, now=0.2))
    assert sum(map(admitted.owns, range(9))) <= 5


def test_the_share_of_one_who_is_gone_is_shared(register, clock):
    """Though the tracker knows of it only when the lease runs out."""
    one, two = ids(2)
    register.lease(IMAGE, two)
    gate = Lease(register.lease)
    for others, owned in (([], 5), ([two], 5), ([], 10)):
        admitted = gate.admit(view_of(one, others, extents=10))
        assert sum(map(admitted.owns, range(10))) == owned


def test_several_images_have_leases_of_their_own(register, clock):
    """Though it is one gate."""
    gate = Lease(register.lease)
    me, *others = ids(3)
    for peer in others:
        register.lease(IMAGE, peer)
    assert gate.admit(view_of(me, ids(3))).owns is None
    other = View(image=b"o" * 20, me=me, now=0.0)
    assert gate.admit(other).owns is not None
    assert gate.admit(view_of(me, ids(3))).owns is None


def test_without_a_tracker_others_decide():
    """Once the lease has run out."""
    answers = [Grant(place=0, places=1, seconds=30.0, holders=(b"me",))]

    def ask(image, peer):
        if not answers:
            raise OSError("the tracker is gone")
        return answers.pop()

    gate = Lease(ask, fallback=Never())
    assert gate.admit(view_of(b"me", ids(3), now=0.0)).owns(0)
    assert gate.admit(view_of(b"me", ids(3), now=15.0)).owns(0)
    passed = gate.admit(view_of(b"me", ids(3), now=40.0))
    assert passed.owns is None
    assert "the tracker is gone" in passed.reason


def test_a_tracker_that_fails_without_a_word_has_failed():
    """Others decide, and nobody goes on to wait for it."""

    def ask(image, peer):
        raise TimeoutError

    passed = Lease(ask).admit(view_of(b"me", []))
    assert passed.owns is not None
    assert "TimeoutError" in passed.reason


def test_nobody_waits_for_a_tracker():
    """It is asked by a worker; until then others go."""
    executor = ManualExecutor()
    grant = Grant(place=0, places=1, seconds=30.0, holders=(b"me",))
    gate = Lease(lambda image, peer: grant, executor=executor)
    assert gate.admit(view_of(b"me", [])).owns is None
    executor.run_all()
    assert gate.admit(view_of(b"me", [])).owns(0)


def test_who_sees_few_draws_a_lot():
    """And who sees most of them agrees with them."""
    agents = ids(100)
    near = [Nearby(8).admit(view_of(me, agents, members=100)) for me in agents]
    assert sum(p.owns is not None for p in near) == 8
    far = [
        Nearby(8).admit(view_of(me, agents[:5], members=100)) for me in agents
    ]
    assert sum(p.owns is not None for p in far) <= 20


# -- gates by their names


@pytest.mark.parametrize("name", ORIGIN_GATES.builtins)
def test_a_gate_is_loaded_by_its_name(name):
    """Those that come with the library are plug-ins like others."""
    context = GateContext(trackers=("http://10.0.0.1:1/announce",))
    kind = "lease" if name == "auto" else name
    assert type(load_gate(name, context)).__name__.lower() == kind


@pytest.mark.parametrize(
    "trackers", [(), ("http://10.0.0.1/announce.php?key=1",)]
)
def test_without_a_tracker_of_ours_the_default_asks_nobody(trackers):
    """Others decide from what they see."""
    context = GateContext(trackers=trackers)
    assert isinstance(load_gate("auto", context), Nearby)


def test_a_gate_that_cannot_be_is_an_error():
    """With its name."""
    with pytest.raises(PluginError, match="rendezvous"):
        load_gate("rendevous")
    with pytest.raises(ValueError, match="tracker"):
        load_gate("lease")
