"""How the agent finds this library, and what of it can go wrong."""

from __future__ import annotations

import hashlib
import socket

import pytest
from ironic_python_agent import hardware
from ironic_python_agent.extensions import standby
from tests.download.origin import serving

from parallelops import config
from parallelops.integrations.ironic import AgentDownloads
from parallelops.integrations.ironic.manager import DownloadManager

DATA = bytes(range(256)) * 2000


@pytest.fixture
def ours(conf, tmp_path):
    """Sets options of this library in the agent's configuration."""
    config.register_opts(conf)
    own = standby.ImageDownload

    def ours(**options):
        for name, value in {
            "download_in_agent": True,
            "download_spool": str(tmp_path),
            "download_listen": "127.0.0.1:0",
            **options,
        }.items():
            conf.set_override(name, value, group=config.GROUP)

    yield ours
    if isinstance(standby.ImageDownload, AgentDownloads):
        standby.ImageDownload.remove()
    assert standby.ImageDownload is own


def test_the_agent_finds_it(ours, tmp_path, monkeypatch):
    """As it finds what knows the hardware; there is none that it supports."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ours()
    (found,) = (
        extension.obj
        for extension in hardware._get_extensions()
        if extension.name == "parallelops"
    )
    assert found.evaluate_hardware_support() == 0
    downloads = standby.ImageDownload
    assert downloads._downloader.shares
    assert found.evaluate_hardware_support() == 0
    assert standby.ImageDownload is downloads
    with serving(DATA) as origin:
        standby._download_image(
            {
                "id": "image-id",
                "urls": [origin.url],
                "os_hash_algo": "sha512",
                "os_hash_value": hashlib.sha512(DATA).hexdigest(),
            }
        )
    assert (tmp_path / "image-id").read_bytes() == DATA


def test_nobody_has_it_unasked(ours):
    """It may be installed and not wanted."""
    ours(download_in_agent=False)
    before = standby.ImageDownload
    DownloadManager().evaluate_hardware_support()
    assert standby.ImageDownload is before


def test_what_cannot_work_is_logged(ours, caplog):
    """The agent is to deploy all the same."""
    ours(download_gate="nobody")
    before = standby.ImageDownload
    assert DownloadManager().evaluate_hardware_support() == 0
    assert standby.ImageDownload is before
    assert "[parallelops] download_gate" in caplog.text


def test_a_port_that_is_taken_only_ends_sharing(ours, caplog):
    """The origin is there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ours(download_listen=f"127.0.0.1:{taken.getsockname()[1]}")
        DownloadManager().evaluate_hardware_support()
    assert not standby.ImageDownload._downloader.shares
    assert "not shared" in caplog.text


def test_without_a_spool_nothing_is_shared(ours):
    """And no port is opened."""
    ours(download_spool=None)
    DownloadManager().evaluate_hardware_support()
    assert not standby.ImageDownload._downloader.shares
