"""Ironic's agent from PyPI, its images downloaded by this library."""

from __future__ import annotations

import pytest
from tests.others import any_missing, let_warn, may_warn

from parallelops import load_executor
from parallelops.download import Downloader, Swarm

missing = any_missing("ironic_python_agent")

# Without the agent there is nothing to collect: the session "services" has it.
collect_ignore_glob = ["test_*.py"] if missing else []
if not missing:
    with may_warn():
        from ironic_python_agent import config, hardware  # noqa: F401


def pytest_collection_modifyitems(items):
    """Not all that warns here is ours."""
    let_warn(items, __file__)


@pytest.fixture
def conf():
    """The agent's options, as in a test: nothing takes long."""
    config.CONF([], project="ironic-python-agent", default_config_files=[])
    for name, value in {
        "image_download_connection_retries": 1,
        "image_download_connection_retry_interval": 0,
        "image_download_connection_timeout": 5,
    }.items():
        config.CONF.set_override(name, value)
    yield config.CONF
    config.CONF.reset()
    config.CONF.clear()


@pytest.fixture
def executor():
    """Four threads."""
    with load_executor("thread", max_workers=4) as executor:
        yield executor


@pytest.fixture
def installed(conf, executor, tmp_path):
    """The agent downloads by this library."""
    from parallelops.integrations.ironic import AgentDownloads

    with Swarm("127.0.0.1:0") as swarm:
        downloads = AgentDownloads(
            Downloader(executor, swarm=swarm, extent=1 << 19, timeout=60.0),
            spool=tmp_path,
            command_line="",
        )
        with downloads.installed():
            yield downloads
