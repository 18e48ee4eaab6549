"""The options for reading images, and what is made of them."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from oslo_config import cfg
from tests.images.clocks import StillRuntime

from parallelops import config, load_executor
from parallelops.errors import ConfigError, NoLocationWorked
from parallelops.images import Fetcher, LocationEntry, NotForMe, StaticMetrics


@pytest.fixture
def conf():
    """A configuration that says nothing yet."""
    conf = cfg.ConfigOpts()
    config.register_opts(conf)
    conf([])
    return conf


def entry(name, weight=0, **nodes):
    """A location in a store of that name."""
    return LocationEntry(
        url=f"http://{name}",
        metadata={"store": name},
        metrics=StaticMetrics(weight=weight, node_weights=nodes),
    )


def test_the_strategy_is_that_of_the_options(conf):
    """With the stores and the node that they name."""
    a, b, c = entry("a", 3), entry("b", 1, n1=9), entry("c", 2)
    for strategies, stores, expected in (
        (["location_order"], [], [a, b, c]),
        (["weight"], [], [a, c, b]),
        (["node_weight"], [], [b, a, c]),
        (["store_preference", "weight"], ["c"], [c, a, b]),
        ([], [], [a, b, c]),
    ):
        config.override(conf, "location_strategies", strategies)
        config.override(conf, "location_stores", stores)
        config.override(conf, "node_name", "n1")
        strategy = config.location_strategy_from(conf)
        context = config.selection_context_from(conf)
        assert strategy([a, b, c], context) == expected


def test_the_node_is_the_host_unless_it_is_named(conf):
    """As an operator expects it."""
    assert config.selection_context_from(conf).node == socket.gethostname()


def test_the_metrics_are_kept_in_the_file(conf, tmp_path):
    """And measured by the clock that was handed in."""
    path = tmp_path / "metrics.json"
    config.override(conf, "location_metrics_file", str(path))
    runtime = StillRuntime()
    context = config.selection_context_from(conf, runtime=runtime)
    assert context.runtime is runtime
    context.metrics.record(entry("a"), failed=True)
    context.metrics.save()
    again = config.selection_context_from(conf).metrics
    assert list(again.statistics()) == ["a http://a"]


def test_the_fetcher_reads_from_the_folders_and_no_others(conf, tmp_path):
    """By the handlers that are named."""
    (tmp_path / "image").write_text("data")
    location = LocationEntry(url=(tmp_path / "image").as_uri())
    with pytest.raises(NoLocationWorked, match="none of the folders"):
        config.fetcher_from(conf).fetch([location], tmp_path / "copy")
    config.override(conf, "image_folders", [str(tmp_path)])
    result = config.fetcher_from(conf).fetch([location], tmp_path / "copy")
    assert result.handler == "file"
    config.override(conf, "image_handlers", ["http"])
    with pytest.raises(NoLocationWorked, match="no http"):
        config.fetcher_from(conf).fetch([location], tmp_path / "copy")


def test_the_executor_is_the_callers(conf, tmp_path):
    """Handlers are told of it, and of what the caller allows."""
    seen = []

    def handler(location, destination, context):
        seen.append((context.executor, context.options.connections))
        assert context.runtime is executor.runtime
        return NotForMe("it only looks")

    with load_executor("serial") as executor:
        fetcher = config.fetcher_from(conf, executor=executor, connections=2)
        fetcher._handlers = [("looks", handler)]
        plain = Fetcher(handlers=fetcher._handlers, executor=executor)
        for each in (fetcher, plain):
            with pytest.raises(NoLocationWorked, match="only looks"):
                each.fetch([entry("a")], tmp_path / "image")
        assert seen == [(executor, 2), (executor, 4)]
    with pytest.raises(ValueError, match="connections"):
        config.fetcher_from(conf, connections=0)


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("location_strategies", ["wieght"], "did you mean 'weight'"),
        ("location_strategies", ["random", "random"], "it comes 2 times"),
        ("image_handlers", ["htp"], "did you mean 'http'"),
    ],
)
def test_a_wrong_name_fails_at_start(conf, option, value, reason):
    """Whoever asks for anything learns of it."""
    config.override(conf, option, value)
    for function in (
        config.validate,
        config.executor_from,
        config.location_strategy_from,
        config.selection_context_from,
        config.fetcher_from,
    ):
        with pytest.raises(ConfigError, match=reason) as caught:
            function(conf)
        assert caught.value.option == f"[parallelops] {option}"


def test_who_wants_an_executor_loads_no_images():
    """A service that has nothing to do with them pays nothing for them."""
    code = """
import sys
from oslo_config import cfg
from parallelops import config
conf = cfg.ConfigOpts()
conf([])
config.executor_from(conf).shutdown()
assert not [name for name in sys.modules if "parallelops.images" in name]
"""
    subprocess.run([sys.executable, "-c", code], check=True)
