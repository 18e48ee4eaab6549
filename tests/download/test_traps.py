"""What libtorrent does that one would not think, by its number in our notes.

Other traps are met elsewhere: 4, 9 and 19 have no code here that could fall
into them; 7, 13 and 16 are in test_swarm, 17 in test_torrent, 18 in the tests
of landings.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

import pytest
from tests.download.conftest import SIZE, digest_of
from tests.download.origin import serving
from tests.download.test_swarm import (  # noqa: F401 - a fixture
    agents,
    image_of,
    torrent_of,
    until,
)

from parallelops.download import Downloader, HerdOptions, HTTPSource, Image
from parallelops.errors import DestinationError, SwarmError

lt = pytest.importorskip("libtorrent")

LATE = HerdOptions(grace=2.0, stall=0.3, patience=20.0)


@pytest.mark.once
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_ends_it(data, agents):  # noqa: F811
    """Trap 2: nothing would be said, and it would hang."""
    (agent,) = agents(1)
    folder = agent.path.parent
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(folder)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip(f"it cannot be mounted: {mounted.stderr.decode()}")

    def fill(request):
        if request.number == 20:
            with (
                (folder / "other").open("wb", buffering=0) as file,
                contextlib.suppress(OSError),
            ):
                while file.write(bytes(1 << 12)):
                    pass
        return False

    try:
        with serving(data, behave=fill) as origin:
            agent.fetch(image_of(data, origin.url))
        assert isinstance(agent.error, (DestinationError, SwarmError))
        assert not agent.path.exists()
        agent.swarm.close()
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.once
def test_a_tracker_that_is_dead_is_no_end(data, agents):  # noqa: F811
    """Trap 3: there is no error for it."""
    (agent,) = agents(1)
    with serving(data) as origin:
        image = Image(
            digest=digest_of(data),
            torrent=torrent_of(data, trackers=["http://127.0.0.1:1/announce"]),
            sources=[HTTPSource(origin.url)],
        )
        agent.fetch(image)
    assert agent.error is None
    assert origin.sent == SIZE


def test_an_image_is_joined_once(data, agents, tmp_path):  # noqa: F811
    """Trap 10: the second one would be the first, at its place."""
    (agent,) = agents(1)
    torrent = torrent_of(data)
    member = agent.swarm.join(torrent, tmp_path / "one")
    with pytest.raises(SwarmError, match="cannot be shared"):
        agent.swarm.join(torrent, tmp_path / "two")
    member.leave()
    agent.swarm.join(torrent, tmp_path / "two")


def test_a_piece_of_another_size_is_refused(data, agents, tmp_path):  # noqa: F811
    """Trap 15: it would be dropped, without a word."""
    (agent,) = agents(1)
    member = agent.swarm.join(torrent_of(data), tmp_path / "data")
    with pytest.raises(SwarmError, match="piece 3 has 5 bytes"):
        member.add_piece(3, b"12345")
    until(lambda: not member.view().checking)
    member.add_piece(3, data[3 << 14 : 4 << 14])
    until(lambda: member.view().have[3])
    member.flush(10.0)
    with (tmp_path / "data").open("rb") as file:
        file.seek(3 << 14)
        assert file.read(1 << 14) == data[3 << 14 : 4 << 14]


@pytest.mark.once
def test_one_who_poisons_is_sent_away(data, agents, tmp_path):  # noqa: F811
    """And what he gave is had from the origin."""
    (agent,) = agents(1)
    torrent = torrent_of(data)
    (tmp_path / "poison").mkdir()
    (tmp_path / "poison" / "data").write_bytes(bytes(SIZE))
    session = lt.session(
        {"listen_interfaces": "127.0.0.9:0", "enable_dht": False}
    )
    wanted = lt.add_torrent_params()
    wanted.ti = lt.torrent_info(lt.bdecode(torrent.dump()))
    wanted.save_path = str(tmp_path / "poison")
    wanted.renamed_files = {0: "data"}
    flags = lt.torrent_flags
    wanted.flags &= ~(flags.auto_managed | flags.paused)
    wanted.flags |= flags.seed_mode | flags.no_verify_files
    session.add_torrent(wanted)
    until(lambda: session.listen_port())
    with serving(data) as origin:
        image = Image(
            digest=digest_of(data),
            torrent=torrent,
            sources=[HTTPSource(origin.url)],
            peers=[("127.0.0.9", session.listen_port())],
        )
        agent.fetch(image, herd=LATE)
    session.pause()
    assert agent.error is None
    assert agent.path.read_bytes() == data
    assert origin.sent <= 1.1 * SIZE


@pytest.mark.once
def test_one_who_stands_still_is_no_end(data, agents, tmp_path):  # noqa: F811
    """He has everything, and gives nothing."""
    (agent,) = agents(1)
    torrent = tmp_path / "torrent"
    torrent.write_bytes(torrent_of(data).dump())
    with (
        serving(data) as origin,
        subprocess.Popen(
            [
                *(sys.executable, "-m", "parallelops", "image", "get"),
                *("--url", origin.url, "--digest", digest_of(data)),
                *("--torrent", str(torrent), "--seed-for", "60"),
                *("--listen", "127.0.0.8:6881", "--json"),
                *("--out", str(tmp_path / "other")),
            ],
            stdout=subprocess.PIPE,
        ) as other,
    ):
        assert other.stdout.readline()
        other.send_signal(signal.SIGSTOP)
        before = origin.sent
        image = Image(
            digest=digest_of(data),
            torrent=torrent_of(data),
            sources=[HTTPSource(origin.url)],
            peers=[("127.0.0.8", 6881)],
        )
        agent.fetch(image, herd=LATE)
        other.kill()
    assert agent.error is None
    assert origin.sent - before <= 1.1 * SIZE


@pytest.mark.once
def test_a_folder_that_is_read_only_is_named(data, executor, tmp_path):
    """Before anything is asked of the origin."""
    if not os.geteuid():
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "ro", "none", str(tmp_path)],
            check=False,
            capture_output=True,
        )
        if mounted.returncode:
            pytest.skip(f"it cannot be mounted: {mounted.stderr.decode()}")
    else:
        tmp_path.chmod(0o500)
    try:
        with serving(data) as origin, pytest.raises(DestinationError):
            Downloader(executor).fetch(
                image_of(data, origin.url), tmp_path / "image"
            )
        assert not origin.log
    finally:
        if not os.geteuid():
            subprocess.run(["umount", str(tmp_path)], check=True)
