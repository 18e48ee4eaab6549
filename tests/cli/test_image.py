"""``parallelops image``, ``tracker`` and ``demo download``, as processes."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys

import pytest
from tests.cli.test_cli import command, refused
from tests.download.origin import serving
from tests.download.silent import drops_packets, is_asked
from tests.polling import until

from parallelops.download import Torrent

pytest.importorskip("libtorrent")

DATA = bytes(range(256)) * 2000
DIGEST = "sha512:" + hashlib.sha512(DATA).hexdigest()


@pytest.fixture
def image(tmp_path):
    """The file of an image."""
    path = tmp_path / "original"
    path.write_bytes(DATA)
    return path


def test_a_torrent_is_made_and_shown(image, tmp_path):
    """As text, and as JSON."""
    out = tmp_path / "image.torrent"
    made = command(
        *("image", "torrent", "create", str(image), "--out", str(out)),
        *("--tracker", "http://tracker.example/announce?passkey=hunter2"),
    )
    assert made.returncode == 0, made.stderr
    torrent = Torrent.load(out.read_bytes(), size=len(DATA))
    shown = command("image", "torrent", "show", str(out), "--json")
    said = json.loads(shown.stdout)
    assert said["info_hash"] == torrent.info_hash.hex()
    assert said["trackers"] == ["http://tracker.example/announce?passkey=***"]
    shown = command("image", "torrent", "show", str(out))
    assert f"size: {len(DATA)}" in shown.stdout.splitlines()
    assert "hunter2" not in shown.stdout
    out.write_bytes(b"d1:xi0ee")
    assert "refused" in refused(command("image", "torrent", "show", str(out)))


def test_an_image_is_got(tmp_path):
    """And the file that says so is there after it."""
    out, done = tmp_path / "image", tmp_path / "done"
    arguments = ("--digest", DIGEST, "--out", str(out))
    with serving(DATA) as origin:
        got = command(
            *("image", "get", "--url", origin.url, *arguments),
            *("--json", "--done-file", str(done)),
        )
    assert got.returncode == 0, got.stderr
    assert json.loads(got.stdout)["received"]["origin"] == len(DATA)
    assert out.read_bytes() == DATA
    assert done.exists()


@pytest.mark.once
def test_an_interrupt_of_a_connect_leaves_no_socket(tmp_path):
    """To be found by the garbage collector, which warns of it."""
    out = str(tmp_path / "image")
    with (
        drops_packets() as port,
        subprocess.Popen(
            [
                *(sys.executable, "-W", "error", "-m", "parallelops"),
                *("image", "get", "--url", f"http://127.0.0.1:{port}/x"),
                *("--digest", DIGEST, "--out", out),
            ],
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        until(lambda: is_asked(port))
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "ResourceWarning" not in told


def test_an_image_that_is_another_is_refused(tmp_path):
    """In one line, without the secret of its URL."""
    out = tmp_path / "image"
    with serving(b"x" * len(DATA)) as origin:
        url = f"{origin.url}?temp_url_sig=hunter2"
        line = refused(
            command(
                *("image", "get", "--url", url),
                *("--digest", DIGEST, "--out", str(out)),
            )
        )
    assert "digest" in line
    assert "hunter2" not in line
    assert not out.exists()


def test_a_tracker_serves_until_it_is_ended(tmp_path):
    """Its URL is what torrents have to say."""
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "parallelops", "tracker"),
            *("--listen", "127.0.0.1:0"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    ) as tracker:
        url = tracker.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        tracker.terminate()
        assert tracker.wait(20) == 0


@pytest.mark.once
def test_the_demonstration_shows_a_herd(tmp_path):
    """Two agents, and an image of four megabytes; and what others do."""
    shown = command(
        *("demo", "download", "--agents", "2", "--size", "4"),
        *("--rate", "4", "--json"),
    )
    assert shown.returncode == 0, shown.stderr
    alone, seeded, herd = json.loads(shown.stdout)
    assert [each["way"] for each in (alone, seeded, herd)] == [
        *("origin", "web-seed", "swarm")
    ]
    assert 8_000_000 <= alone["origin_bytes"] <= 8_000_100
    assert seeded["origin_bytes"] >= 4_000_000
    assert herd["origin_bytes"] <= 8_000_100
