"""What may go wrong around a download, on disks and in swarms.

What goes wrong at an origin is in ``test_origin``, what others do in a swarm
in ``test_traps`` and ``test_swarm``, and a killed process in ``test_crash``.
In all of them nothing hangs, no wrong file has the name of the image, and no
secret is told; the fixture ``no_secret`` looks at the log.
"""

from __future__ import annotations

import contextlib
import os
import subprocess

import pytest
from tests.download.conftest import SECRET, SIZE, digest_of, told
from tests.download.origin import serving
from tests.download.test_origin import HOPELESS, TROUBLE, first
from tests.download.test_swarm import (  # noqa: F401 - a fixture
    FAST,
    agents,
    image_of,
    torrent_of,
)

from parallelops.download import Downloader, HTTPSource, Image
from parallelops.errors import (
    DataMismatch,
    DestinationError,
    SwarmError,
    TransferError,
)

WAYS = ["origin", "swarm"]


@pytest.fixture
def fetch(data, agents, executor, tmp_path):  # noqa: F811
    """Downloads in a way to a path, and says what went wrong."""

    def fetch(way, path, url):
        image = image_of(data, url)
        options = {"timeout": 30.0, "extent": 1 << 19}
        if way == "swarm":
            (agent,) = agents(1)
            options |= {"swarm": agent.swarm, "herd": FAST}
        with pytest.raises(
            (DestinationError, SwarmError, TransferError)
        ) as caught:
            Downloader(executor, **options).fetch(image, path)
        told(caught.value)
        return caught.value

    return fetch


@pytest.fixture
def mounted(tmp_path):
    """Mounts a file system in memory."""
    if os.geteuid():
        pytest.skip("mounting needs root")
    with contextlib.ExitStack() as stack:

        def mounted(options):
            folder = tmp_path / "disk"
            folder.mkdir()
            made = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)],
                check=False,
                capture_output=True,
                text=True,
            )
            if made.returncode:
                pytest.skip(f"it cannot be mounted: {made.stderr}")
            stack.callback(
                subprocess.run,
                ["umount", "--lazy", str(folder)],
                check=True,
            )
            return folder

        yield mounted


@pytest.mark.once
@pytest.mark.parametrize("way", WAYS)
def test_a_disk_that_fills_up_ends_it(data, fetch, mounted, way):
    """While it is written to: there was room in the beginning."""
    folder = mounted("size=6m")

    def fill(request):
        if request.number == 3:
            with (
                (folder / "other").open("wb", buffering=0) as file,
                contextlib.suppress(OSError),
            ):
                while file.write(bytes(1 << 12)):
                    pass
        return False

    with serving(data, behave=fill) as origin:
        error = fetch(way, folder / "image", origin.url)
    assert isinstance(error, (DestinationError, SwarmError))
    assert not (folder / "image").exists()


@pytest.mark.once
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("options", ["size=1m", "ro"])
def test_a_disk_that_cannot_take_it_is_named(
    data, fetch, mounted, way, options
):
    """Too small, or for reading only: nothing is asked of the origin."""
    folder = mounted(options)
    with serving(data) as origin:
        error = fetch(way, folder / "image", origin.url)
        assert not origin.log
    assert isinstance(error, DestinationError)
    assert str(folder / "image") in str(error)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", ["link", "device", "folder"])
def test_what_is_no_file_is_not_written_through(
    data, fetch, tmp_path, way, what
):
    """What it leads to stays as it is, and the origin is not asked."""
    path, target = tmp_path / "image", tmp_path / "target"
    target.write_bytes(b"precious")
    if what == "folder":
        path.mkdir()
    else:
        path.symlink_to(target if what == "link" else "/dev/null")
    with serving(data) as origin:
        error = fetch(way, path, origin.url)
        assert not origin.log
    assert isinstance(error, DestinationError)
    assert target.read_bytes() == b"precious"
    assert path.is_symlink() or path.is_dir()


@pytest.mark.once
def test_a_tracker_may_be_dead_and_its_url_a_secret(data, agents):  # noqa: F811
    """The image comes from the origin."""
    (agent,) = agents(1)
    url = "http://127.0.0.1:1/announce?passkey_token=hunter2"
    with serving(data) as origin:
        image = Image(
            digest=digest_of(data),
            torrent=torrent_of(data, trackers=[url]),
            sources=[HTTPSource(origin.url + SECRET)],
        )
        agent.fetch(image)
    assert agent.error is None
    assert agent.path.read_bytes() == data


@pytest.mark.once
@pytest.mark.parametrize("status", [401, 403])
def test_a_url_may_expire_in_a_swarm(data, agents, status):  # noqa: F811
    """New ones are asked for, and none is told."""
    (agent,) = agents(1)

    def expire(request):
        return "hunter2-new" not in request.path and request.refuse(status)

    with serving(data, behave=expire) as origin:
        fresh = f"{origin.url}?temp_url_sig=hunter2-new"
        source = HTTPSource(origin.url + SECRET, refresh=lambda: [fresh])
        image = Image(
            digest=digest_of(data), torrent=torrent_of(data), sources=[source]
        )
        agent.fetch(image)
    assert agent.error is None
    assert agent.path.read_bytes() == data


# -- the same, handed on as a stream


@pytest.fixture
def stream(data, executor, monkeypatch):
    """Iterates over an image; gives it, and what has come."""
    monkeypatch.setattr("parallelops.origin.copies._FIRST_PAUSE", 0.001)

    def stream(*urls):
        source = HTTPSource([url + SECRET for url in urls], timeout=2.0)
        image = Image(digest=digest_of(data), size=SIZE, sources=[source])
        downloader = Downloader(executor, extent=1 << 19, timeout=30.0)
        made = downloader.stream(image)
        try:
            whole = b"".join(made)
            made.verify_image()
        except Exception as error:
            told(error)
            raise
        assert whole == data
        told(made.failures)

    return stream


@pytest.mark.parametrize("trouble", TROUBLE)
def test_a_stream_goes_on_after_passing_trouble(trouble, data, stream):
    """Nothing comes twice, and nothing is left out."""
    with serving(data, behave=first(3, TROUBLE[trouble])) as origin:
        stream(origin.url)


# Of one that is endless, wrong bytes were handed on before that is seen.
@pytest.mark.parametrize("trouble", sorted(HOPELESS.keys() - {"endless"}))
def test_a_stream_ends_at_hopeless_trouble(trouble, data, stream):
    """Or goes on at another copy."""
    with (
        serving(data, behave=HOPELESS[trouble]) as bad,
        serving(data) as good,
    ):
        with pytest.raises((DataMismatch, TransferError)):
            stream(bad.url)
        stream(bad.url, good.url)
