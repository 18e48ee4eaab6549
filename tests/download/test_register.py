"""The register of a tracker: who is told of whom, and who holds a lease."""

from __future__ import annotations

import collections

import pytest
from tests.download.registers import IMAGE, ids, said

from parallelops.download.register import Register
from parallelops.errors import SwarmError


def rack_of(host):
    return host.rpartition(".")[0]


def test_neighbours_come_first_and_no_rack_is_cut_off(register):
    """All are of the same rack but one, which is another one each time."""
    far = []
    for number, peer in enumerate(ids(60)):
        host = f"10.0.{number % 3}.{number}"
        named = register.announce(said(peer, host, wanted=10)).peers
        others = [h for h, _ in named if rack_of(h) != rack_of(host)]
        if number > 8:
            assert len(set(named)) == len(named) > 2
            assert len(others) == 1
        far += others
    # Chosen by chance alone, no more than 36 would be known elsewhere.
    assert len(set(far)) >= 38


def test_who_has_few_neighbours_is_told_of_more_others(register):
    """Two machines that know nobody else would soon be alone."""
    for number, peer in enumerate(ids(40)):
        host = f"10.0.{number // 2}.{number}"
        named = register.announce(said(peer, host)).peers
        if number < 3:
            continue
        if number % 2:
            assert sum(rack_of(h) == rack_of(host) for h, _ in named) == 1
            assert len(named) == 3
        else:
            assert len(named) == number


def test_others_of_other_racks_stay_the_same(register):
    """Or all would know all in the end; who is gone has a successor."""
    peers = ids(30)
    hosts = {}
    for number, peer in enumerate(peers):
        hosts[peer] = f"10.0.{number % 3}.{number}"
        register.announce(said(peer, hosts[peer]))

    def far(peer):
        named = register.announce(said(peer, hosts[peer])).peers
        near = rack_of(hosts[peer])
        return [host for host, _ in named if rack_of(host) != near]

    me = peers[-1]
    before = far(me)
    assert len(before) == 1
    assert all(far(me) == before for _ in range(10))
    (gone,) = (peer for peer in peers if hosts[peer] == before[0])
    register.announce(said(gone, hosts[gone], stopped=True))
    after = far(me)
    assert len(after) == 1
    assert after != before


@pytest.mark.parametrize("host", ["172.16.0.1", "172.16.{}.1"])
def test_who_asks_for_nobody_is_not_named_before_others(register, host):
    """Whether they are many in one rack, or each alone in his."""
    others = ids(400)
    for number, peer in enumerate(others[:200]):
        register.announce(said(peer, host.format(number), wanted=0))
    named = collections.Counter()
    for number, peer in enumerate(others[200:]):
        mine = f"10.0.{number % 4}.{number}"
        for found, _ in register.announce(said(peer, mine)).peers:
            if rack_of(found) != rack_of(mine) and number > 12:
                named[found.startswith("10.")] += 1
    # About 75 if they count as others do; it was next to none.
    assert named[True] >= 30


def test_who_is_alone_is_not_known_to_all_in_time(register, clock):
    """Though he is told of others each time."""
    hosts = [f"10.0.{n % 3}.{n}" for n in range(60)]
    hosts += [f"10.1.{n}.1" for n in range(10)]
    for _ in range(20):
        for peer, host in zip(ids(70), hosts, strict=True):
            register.announce(said(peer, host))
        clock.advance(10)
    members = register._swarms[IMAGE].members
    assert sum(len(member.far) for member in members.values()) <= 120
    for peer, member in members.items():
        for other in member.far:
            assert peer in members[other].told
    told = sum(len(member.told) for member in members.values())
    assert told == sum(len(member.far) for member in members.values())


def test_who_comes_first_in_a_rack_is_told_of_those_who_go(register):
    """They have what nobody else has."""
    peers = ids(40)
    for number, peer in enumerate(peers):
        register.announce(said(peer, f"10.0.0.{number}"))
    going = range(register.places)
    for number in going:
        register.lease(IMAGE, peers[number])
    me = b"-PO0100-----abcdefgh"
    found = register.announce(said(me, "10.0.1.1", wanted=6)).peers
    assert len(set(found)) == 6
    assert {f"10.0.0.{n}" for n in going} < {host for host, _ in found}


def test_the_rack_may_be_said(register):
    """In the peer id, whatever the network."""
    near = [b"-PO0100-rack%08d" % n for n in range(3)]
    for number, peer in enumerate(near):
        register.announce(said(peer, f"10.{number}.0.1"))
    for number, peer in enumerate(ids(30)):
        register.announce(said(peer, f"10.0.0.{number + 2}"))
    found = register.announce(said(near[0], "10.0.0.1", wanted=3)).peers
    assert {host for host, _ in found[1:]} == {"10.1.0.1", "10.2.0.1"}


def test_who_is_silent_is_forgotten(register, clock):
    """And who leaves, at once."""
    for peer in ids(3):
        register.announce(said(peer))
    register.announce(said(ids(1)[0], stopped=True))
    assert register.count(IMAGE) == (0, 2)
    clock.advance(20)
    register.announce(said(ids(2)[1], left=0))
    clock.advance(10)
    assert register.count(IMAGE) == (1, 0)


def test_who_has_all_is_not_told_of_others_who_have(register):
    """They have nothing to say to each other."""
    one, two, three = ids(3)
    register.announce(said(one, left=0))
    register.announce(said(two, "10.0.0.2"))
    found = register.announce(said(three, left=0)).peers
    assert found == (("10.0.0.2", 1),)


def test_only_what_is_allowed_is_served(clock):
    """And no more than there is room for."""
    register = Register(clock, allowed=[IMAGE], most_members=1)
    register.announce(said(b"1" * 20))
    with pytest.raises(SwarmError, match="full"):
        register.announce(said(b"2" * 20))
    with pytest.raises(SwarmError, match="not served"):
        register.lease(b"x" * 20, b"1" * 20)


def test_a_lease_is_kept_while_others_ask_for_other_images(register, clock):
    """Who holds it is no member yet; once it has run out nothing is left."""
    one, two, three = ids(3)
    for peer in (one, two):
        register.lease(IMAGE, peer)
    for number in range(20):
        assert register.count(b"%020d" % number) == (0, 0)
        register.lease(b"other%015d" % number, one)
        clock.advance(1)
    grant = register.lease(IMAGE, three)
    assert (grant.place, grant.holders) == (None, (one, two))
    clock.advance(100)
    register.lease(b"o" * 20, one)
    assert list(register._swarms) == [b"o" * 20]


def test_who_counts_leaves_nothing_behind(clock):
    """And is told if an image is not served."""
    register = Register(clock, allowed=[IMAGE])
    assert register.count(IMAGE) == (0, 0)
    assert not register._swarms
    with pytest.raises(SwarmError, match="not served"):
        register.count(b"x" * 20)
