"""Strategies: each, in a chain, by name, and broken."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelops.errors import PluginError
from parallelops.images import (
    Chain,
    Location,
    LocationEntry,
    LocationMetrics,
    SelectionContext,
    StaticMetrics,
    load_strategy,
)
from parallelops.plugins import LOCATION_STRATEGIES
from parallelops.runtime import ThreadRuntime

STORES = ["fast", "slow", "tape"]
NODES = ["n1", "n2"]
WEIGHT = st.sampled_from([0, 1, 2])
ENTRIES = st.builds(
    lambda number, store, weight, nodes: LocationEntry(
        url=f"http://host{number}/image",
        metadata={"store": store} if store else {},
        metrics=StaticMetrics(weight=weight, node_weights=nodes),
    ),
    st.integers(0, 3),
    st.none() | st.sampled_from(STORES),
    WEIGHT,
    st.dictionaries(st.sampled_from(NODES), WEIGHT),
)
LOCATIONS = st.lists(ENTRIES, max_size=6)
NAMES = st.permutations(list(LOCATION_STRATEGIES.builtins)).flatmap(
    lambda names: st.integers(0, len(names)).map(lambda n: names[:n])
)


def runtime(seed):
    """A runtime whose chance can be had again."""
    made = ThreadRuntime()
    made.random = random.Random(seed)
    return made


def context(seed=1, **others):
    """What a strategy may know."""
    made = runtime(seed)
    return SelectionContext(
        node="n1",
        stores=("fast", "slow"),
        metrics=LocationMetrics(runtime=made),
        runtime=made,
        **others,
    )


KEYS = {
    "store_preference": lambda each: {"fast": 0, "slow": 1}.get(each.store, 2),
    "weight": lambda each: -each.metrics.weight,
    "node_weight": lambda each: (
        -each.metrics.node_weights.get("n1", each.metrics.weight)
    ),
}


@settings(deadline=None)
@given(LOCATIONS, NAMES)
def test_a_chain_loses_and_adds_nothing(locations, names):
    """Whatever is chained, in whatever order."""
    ordered = load_strategy(names)(locations, context())
    assert sorted(map(id, ordered)) == sorted(map(id, locations))


@settings(deadline=None)
@given(LOCATIONS, st.permutations(list(KEYS)), st.integers(0, 3))
def test_each_decides_among_equals_of_those_before(locations, names, count):
    """A chain orders as a sort by all the keys at once, and keeps the order
    of those that are equal."""
    names = names[:count]
    expected = sorted(
        locations, key=lambda each: [KEYS[name](each) for name in names]
    )
    ordered = load_strategy(names)(locations, context())
    assert list(map(id, ordered)) == list(map(id, expected))


@settings(deadline=None)
@given(LOCATIONS)
def test_location_order_changes_nothing(locations):
    """And so do an empty chain, and one that nobody measured for."""
    for names in ([], ["location_order"]):
        assert load_strategy(names)(locations, context()) == locations
    unmeasured = SelectionContext()
    assert load_strategy(["measured"])(locations, unmeasured) == locations


def test_chance_is_that_of_the_runtime():
    """The same seed gives the same order, and all orders come up."""
    locations = [LocationEntry(url=f"u{n}") for n in range(3)]
    strategy = load_strategy(["random"])

    def order(seed):
        return tuple(each.url for each in strategy(locations, context(seed)))

    assert order(7) == order(7)
    assert len({order(seed) for seed in range(100)}) == 6


def test_chance_decides_only_among_equals():
    """The greatest weight is first, and of several any."""
    heavy = [
        LocationEntry(url=f"u{n}", metrics=StaticMetrics(weight=2))
        for n in range(2)
    ]
    light = LocationEntry(url="light")
    strategy = load_strategy(["weight", "random"])
    firsts = set()
    for seed in range(30):
        first, _, last = strategy([light, *heavy], context(seed))
        assert last is light
        firsts.add(first.url)
    assert firsts == {"u0", "u1"}


def test_server_and_client_use_the_same():
    """A location of the catalogue is ordered as an entry is."""
    metrics = StaticMetrics(weight=5)
    server = [
        Location(id=1, image_id="i", url="a", store="slow"),
        Location(id=2, image_id="i", url="b", store="fast"),
        Location(id=3, image_id="i", url="c", store="fast", metrics=metrics),
    ]
    client = [
        LocationEntry(
            url=each.url,
            metadata={"store": each.store},
            metrics=each.metrics,
        )
        for each in server
    ]
    strategy = load_strategy(["store_preference", "weight"])
    for locations in (server, client):
        ordered = strategy(locations, context())
        assert [each.url for each in ordered] == ["c", "b", "a"]


def fails(locations, context):
    """A plug-in with a bug, and with a secret in its words."""
    raise KeyError("http://user:hunter2@host")


BROKEN = {
    "fails": (fails, "it failed: KeyError"),
    "loses one": (lambda locations, context: locations[1:], "returned 1 for"),
    "adds one": (lambda locations, context: [*locations, 1], "returned 3 for"),
    "doubles one": (
        lambda locations, context: [locations[0], locations[0]],
        "each once",
    ),
    "returns nothing": (lambda locations, context: None, "it failed: TypeE"),
    "returns copies": (
        lambda locations, context: [
            LocationEntry(url=each.url) for each in locations
        ],
        "each once",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_one_names_itself(fault):
    """In a chain with others that work."""
    strategy, reason = BROKEN[fault]
    good = load_strategy(["weight", "random"]).strategies
    chain = Chain((*good, ("acme", strategy)))
    locations = [LocationEntry(url="a"), LocationEntry(url="b")]
    with pytest.raises(PluginError, match=reason) as caught:
        chain(locations, context())
    assert caught.value.plugin == "acme"
    assert caught.value.namespace == "parallelops.location_strategies"
    assert "hunter2" not in str(caught.value)
    assert [each.url for each in locations] == ["a", "b"]


def test_one_may_sort_what_it_is_given():
    """That changes nothing for the caller."""

    def backwards(locations, context):
        locations.reverse()
        return locations

    locations = [LocationEntry(url="a"), LocationEntry(url="b")]
    ordered = Chain((("backwards", backwards),))(locations, context())
    assert [each.url for each in ordered] == ["b", "a"]
    assert [each.url for each in locations] == ["a", "b"]


def test_a_wrong_name_is_guessed():
    """So is one that comes twice."""
    with pytest.raises(PluginError, match="did you mean 'weight'"):
        load_strategy(["wieght"])
    with pytest.raises(PluginError, match="it comes 2 times"):
        load_strategy(["weight", "random", "weight"])
