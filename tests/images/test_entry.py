"""The entries of locations, and the static metrics in them."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelops.errors import InvalidEntry
from parallelops.images import LocationEntry, StaticMetrics

WEIGHTS = st.floats(0, 1e9)
NAMES = st.text("abc-1é ", min_size=1, max_size=9)
METRICS = st.builds(
    StaticMetrics,
    weight=WEIGHTS | st.integers(0, 10**9),
    node_weights=st.dictionaries(NAMES, WEIGHTS, max_size=4),
)
ENTRIES = st.builds(
    LocationEntry,
    url=st.text("abc:/?&=%1é", min_size=1, max_size=40),
    metrics=METRICS,
    metadata=st.dictionaries(NAMES, st.text(max_size=9), max_size=4),
)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["url", "metrics", "weight", "node-weights"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


def test_the_entry_of_the_specification():
    """It is read, and written as it was."""
    said = {
        "url": "http://host/image",
        "metrics": {"weight": 1, "node-weights": {"host1": 1}},
        "metadata": {},
    }
    entry = LocationEntry.from_json(json.dumps(said))
    assert entry.as_dict() == said
    assert entry.metrics.weight_for("host1") == 1
    assert LocationEntry.from_dict({"url": "u"}) == LocationEntry(url="u")


@settings(deadline=None)
@given(ENTRIES)
def test_it_goes_to_json_and_back(entry):
    """Nothing is lost, and equal ones have the same hash."""
    again = LocationEntry.from_json(json.dumps(entry.as_dict()))
    assert again == entry
    assert hash(again) == hash(entry)
    assert hash(again.metrics) == hash(entry.metrics)


@settings(deadline=None)
@given(ANYTHING)
def test_anything_else_is_one_error(value):
    """Whatever JSON has there."""
    for take in (
        LocationEntry.from_dict,
        StaticMetrics.from_dict,
        lambda value: LocationEntry.from_json(json.dumps(value)),
        lambda value: LocationEntry(url=value),
        lambda value: LocationEntry(url="u", metadata=value),
        lambda value: StaticMetrics(weight=value),
        lambda value: StaticMetrics(node_weights=value),
    ):
        try:
            taken = take(value)
        except InvalidEntry:
            continue
        assert math.isfinite(getattr(taken, "weight", 0))


def nested(depth):
    """JSON that goes deep."""
    return '{"url": ' + "[" * depth + "]" * depth + "}"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"url": "u", "metrics": {"weight": "1"}}', "metrics.weight"),
        ('{"url": "u", "metrics": {"weight": true}}', "metrics.weight"),
        ('{"url": "u", "metrics": {"weight": null}}', "metrics.weight"),
        ('{"url": "u", "metrics": {"weight": NaN}}', "metrics.weight"),
        ('{"url": "u", "metrics": {"weight": Infinity}}', "metrics.weight"),
        ('{"url": "u", "metrics": {"weight": -1}}', "metrics.weight"),
        ('{"url": "u", "metrics": {"weight": 1e10}}', "metrics.weight"),
        (
            '{"url": "u", "metrics": {"weight": 1' + "0" * 400 + "}}",
            "metrics.weight",
        ),
        ('{"url": "u", "metrics": {"node_weights": {}}}', "metrics"),
        (
            '{"url": "u", "metrics": {"node-weights": {"": 1}}}',
            "metrics.node-weights",
        ),
        (
            '{"url": "u", "metrics": {"node-weights": {"a\\u0000": 1}}}',
            "metrics.node-weights",
        ),
        (
            '{"url": "u", "metrics": {"node-weights": [1]}}',
            "metrics.node-weights",
        ),
        ('{"url": "u", "metrics": []}', "metrics"),
        ('{"url": "u", "metadata": {"a": 1}}', "metadata"),
        ('{"url": "u", "weight": 1}', "entry"),
        ('{"url": "u", "url": "v"}', "entry"),
        ('{"url": ""}', "url"),
        ('{"url": "a b"}', "url"),
        ('{"url": "a\\nb"}', "url"),
        ('{"url": "' + "u" * 9000 + '"}', "url"),
        ("{}", "url"),
        ("[]", "entry"),
        ("{", "entry"),
        ("", "entry"),
        (nested(30_000), "entry"),
        ('{"url": "' + "u" * 70_000 + '"}', "entry"),
        ('{"url": 1' + "0" * 5000 + "}", "entry"),
    ],
)
def test_the_error_names_the_field(text, field):
    """And never the value, which may be a secret or endless."""
    with pytest.raises(InvalidEntry) as caught:
        LocationEntry.from_json(text)
    assert caught.value.field == field
    assert len(str(caught.value)) < 200


def test_there_is_a_limit_to_nodes():
    """An entry that is too large is refused, one at the limit is not."""
    nodes = {f"n{number}": 1 for number in range(1000)}
    assert len(StaticMetrics(node_weights=nodes).node_weights) == 1000
    with pytest.raises(InvalidEntry, match="no more than 1000"):
        StaticMetrics(node_weights=nodes | {"one more": 1})


def test_there_are_limits_to_lengths():
    """What is at a limit is taken, and what is over it is not."""
    LocationEntry(url="u" * 8192, metadata={"n" * 255: "v" * 8192})
    for bad in (
        {"url": "u" * 8193},
        {"url": "u", "metadata": {"n" * 256: ""}},
        {"url": "u", "metadata": {"n": "v" * 8193}},
        {"url": "u", "metadata": {str(n): "" for n in range(101)}},
    ):
        with pytest.raises(InvalidEntry):
            LocationEntry(**bad)


def test_what_was_given_can_change_nothing():
    """It is a value: nobody changes it under somebody else."""
    nodes = {"a": 1}
    metrics = StaticMetrics(node_weights=nodes)
    nodes["a"] = math.nan
    assert metrics.weight_for("a") == 1
    with pytest.raises(TypeError):
        metrics.node_weights["a"] = 2


def test_its_text_has_no_secrets():
    """Neither those of the URL nor the metadata."""
    entry = LocationEntry(
        url="s3://key:hunter2@host/x?sig=hunter2",
        metadata={"password": "hunter2"},
    )
    assert "hunter2" not in f"{entry} {entry!r} {[entry]}"
    assert "s3://key:***@host/x" in repr(entry)
