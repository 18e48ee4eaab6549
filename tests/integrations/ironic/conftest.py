"""Ironic's agent from PyPI, its images downloaded by this library."""

from __future__ import annotations

import importlib.util
import warnings

import pytest

from parallelops import load_executor
from parallelops.download import Downloader, Swarm

missing = importlib.util.find_spec("ironic_python_agent") is None

# Without the agent there is nothing to collect: the session "ironic" has it.
collect_ignore_glob = ["test_*.py"] if missing else []
if not missing:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ironic_python_agent import config, hardware  # noqa: F401


def pytest_collection_modifyitems(items):
    """What the agent and oslo warn of is theirs to mend."""
    for item in items:
        if item.path.is_relative_to(__file__.rpartition("/")[0]):
            item.add_marker(pytest.mark.filterwarnings("default"))


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
