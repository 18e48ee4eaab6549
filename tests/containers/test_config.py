"""Container operations as the configuration of a service asks for them."""

from __future__ import annotations

import pytest
from oslo_config import cfg

from parallelops import config
from parallelops.errors import ConfigError


def conf(**values):
    """A configuration that has been read."""
    conf = cfg.ConfigOpts()
    config.register_opts(conf)
    conf([])
    for name, value in values.items():
        conf.set_override(name, value, group=config.GROUP)
    return conf


def test_operations_as_configured(tmp_path):
    """Executor, journal and operations, for a block."""
    wanted = conf(
        executor_threadpool_size=3,
        container_journal=str(tmp_path / "journal"),
        container_max_pending_each=7,
        container_on_error="continue",
    )
    for again in range(2):
        with config.container_operations_from(
            wanted, handlers={"start": lambda call: "done"}, owner="me"
        ) as operations:
            operations.recover()
            assert len(operations.history("c")) == again
            assert operations.call("c", "start") == "done"
            assert operations.owner == "me"
            keyed = operations._keyed
            assert keyed.executor.stats().max_workers == 3
            assert keyed.max_pending_per_key == 7


def test_operations_need_a_journal():
    """Its path has no default."""
    with (
        pytest.raises(ConfigError, match="container_journal"),
        config.container_operations_from(conf(), handlers={"a": print}),
    ):
        pass
