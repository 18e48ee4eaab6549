"""``parallelops image get|seed`` and ``swarm status``, as processes."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import resource
import signal
import socket
import subprocess
import sys
import threading
import urllib.parse
import urllib.request

import pytest
from tests.cli.test_cli import command, on_a_terminal, refused
from tests.download.origin import serving
from tests.download.tracking import tracking

from parallelops import load_executor
from parallelops.cli import tracker as trackercommand
from parallelops.download import (
    Downloader,
    Image,
    Swarm,
    Torrent,
    TorrentWriter,
)

pytest.importorskip("libtorrent")
pytestmark = pytest.mark.once

DATA = bytes(range(256)) * 2000
DIGEST = "sha512:" + hashlib.sha512(DATA).hexdigest()
HEX = hashlib.sha512(DATA).hexdigest()
SECRET = "?temp_url_sig=hunter2"


@pytest.fixture
def image(tmp_path):
    """The file of an image."""
    path = tmp_path / "original"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def torrent(tmp_path):
    """The file of its torrent; trackers as arguments."""

    def torrent(*trackers):
        writer = TorrentWriter(len(DATA), piece_size=1 << 14)
        writer.update(DATA)
        path = tmp_path / "image.torrent"
        path.write_bytes(writer.finish(trackers).dump())
        return path

    return torrent


@pytest.fixture
def tracker():
    """One that serves in a thread; its URL."""
    with tracking() as tracker:
        yield tracker.url


@pytest.mark.parametrize(
    ("limits", "opens", "room"),
    [
        ((1024, 4096), 4096, 2048),
        ((1024, resource.RLIM_INFINITY), 1 << 15, 1 << 14),
        ((1 << 20, 1 << 20), 1 << 20, 1 << 14),
    ],
)
def test_a_tracker_lets_many_wait(monkeypatch, limits, opens, room):
    """As many as files may be open, so that each hears of it at once."""
    told = []
    monkeypatch.setattr(resource, "getrlimit", lambda what: limits)
    monkeypatch.setattr(
        resource, "setrlimit", lambda what, limits: told.append(limits)
    )
    assert trackercommand._room() == room
    assert told == [(opens, limits[1])]


@contextlib.contextmanager
def running(*arguments):
    """A command that serves until it is told to stop."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "parallelops", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def listening(process, url, torrent):
    """Wait until the tracker knows of it; what ``swarm status`` says."""
    while True:
        shown = command(
            "swarm", "status", str(torrent), "--tracker", url, "--json"
        )
        assert shown.returncode == 0, shown.stderr
        (said,) = json.loads(shown.stdout)
        if said["complete"]:
            return said
        assert process.poll() is None


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)]
)
def test_an_image_is_given_to_others(
    image, torrent, tracker, tmp_path, number, status
):
    """Until it is told to stop; what came of it is said in the end."""
    file = torrent(tracker)
    with running(
        *("image", "seed", str(image), "--torrent", str(file)),
        *("--digest", DIGEST, "--listen", "127.0.0.3:0", "--json"),
    ) as seed:
        said = listening(seed, tracker, file)
        assert said["incomplete"] == 0
        assert said["problem"] is None
        got = command(
            *("image", "get", "--torrent", str(file), "--digest", DIGEST),
            *("--out", str(tmp_path / "got"), "--json"),
            *("--listen", "127.0.0.4:0"),
        )
        assert got.returncode == 0, got.stderr
        assert json.loads(got.stdout)["decision"] == "swarm"
        seed.send_signal(number)
        out, err = seed.communicate(timeout=20)
    assert seed.returncode == status, err
    ended = json.loads(out)
    assert ended["sent"] >= len(DATA)
    assert ended["ended"] == "told to stop"
    assert image.read_bytes() == DATA
    assert list(tmp_path.glob(".*")) == []


def test_a_limit_ends_it(image, torrent):
    """And is named."""
    seed = command(
        *("image", "seed", str(image), "--torrent", str(torrent())),
        *("--listen", "127.0.0.3:0", "--for", "0"),
    )
    assert seed.returncode == 0, seed.stderr
    assert "ended: seconds" in seed.stdout.splitlines()


def test_others_are_told_the_address_that_was_chosen(image, torrent, tracker):
    """By the tracker, which is called from there."""
    file = torrent(tracker)
    fields = {
        "info_hash": Torrent.load(file.read_bytes()).info_hash,
        "peer_id": b"-" * 20,
        "port": 1,
        "left": 1,
    }
    with running(
        *("image", "seed", str(image), "--torrent", str(file)),
        *("--listen", "0.0.0.0:0", "--ip", "127.0.0.82"),
    ) as seed:
        listening(seed, tracker, file)
        url = f"{tracker}?{urllib.parse.urlencode(fields)}"
        with urllib.request.urlopen(url, timeout=20) as answer:
            told = answer.read()
    assert b"5:peers6:" + bytes([127, 0, 0, 82]) in told


@pytest.mark.parametrize("what", ["size", "bytes", "digest", "port"])
def test_what_cannot_be_given_is_named(image, torrent, what):
    """In one line, and nobody gets it."""
    more = []
    with socket.create_server(("127.0.0.3", 0)) as taken:
        listen = "127.0.0.3:0"
        expected = what
        if what == "size":
            image.write_bytes(DATA[:-1])
        elif what == "bytes":
            image.write_bytes(b"x" + DATA[1:])
            expected = "1 pieces"
        elif what == "digest":
            more = ["--digest", "sha512:" + "0" * 128]
        else:
            listen = expected = f"127.0.0.3:{taken.getsockname()[1]}"
        line = refused(
            command(
                *("image", "seed", str(image), "--torrent", str(torrent())),
                *("--listen", listen, *more),
            )
        )
    assert expected in line


def test_a_tracker_that_is_dead_is_named(torrent):
    """In a table; one that answers is enough."""
    dead = "http://127.0.0.1:1/announce?key=hunter2"
    shown = command("swarm", "status", str(torrent()), "--tracker", dead)
    assert shown.returncode == 1
    assert "hunter2" not in shown.stdout + shown.stderr
    dead = "http://127.0.0.1:1/announce"
    shown = command("swarm", "status", str(torrent(dead)))
    assert shown.returncode == 1
    assert "Connection refused" in shown.stdout
    assert "names no tracker" in refused(
        command("swarm", "status", str(torrent()))
    )


# -- what to get


def test_what_to_get_is_said_by_ironic(torrent, tmp_path):
    """In the answer to a look-up, or by the kernel's arguments."""
    dump = torrent().read_bytes()
    with serving(DATA) as origin, serving(dump) as side:
        info = {
            "image_url": origin.url,
            "image_os_hash_algo": "sha512",
            "image_os_hash_value": HEX,
            "image_torrent_url": side.url,
            "image_torrent_sha256": hashlib.sha256(dump).hexdigest(),
        }
        answer = tmp_path / "answer.json"
        answer.write_text(json.dumps({"node": {"instance_info": info}}))
        line = tmp_path / "cmdline"
        line.write_text(
            "ro quiet "
            + " ".join(f"{k.replace('_', '-')}={v}" for k, v in info.items())
        )
        for name, file in (("--lookup", answer), ("--kernel", line)):
            out = tmp_path / name
            got = command(
                *("image", "get", name, str(file), "--out", str(out)),
                *("--listen", "127.0.0.4:0", "--json"),
            )
            assert got.returncode == 0, got.stderr
            assert json.loads(got.stdout)["reason"] == "nobody else is there"
            assert out.read_bytes() == DATA


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "give --digest"),
        (("--digest", DIGEST), "give --url or --torrent"),
        (("--digest", "sha512:1"), "hexadecimal digits"),
        (("--digest", DIGEST, "--network", "here"), "no network"),
        (("--digest", DIGEST, "--ip", "here"), "no address"),
        (("--digest", DIGEST, "--peer", "localhost:6881"), "10.0.0.5:6881"),
        (("--digest", DIGEST, "--peer", "10.0.0.1:99999"), "10.0.0.5:6881"),
        (("--digest", DIGEST, "--peer", "10.0.0.1:0"), "10.0.0.5:6881"),
        (("--lookup", "/dev/null"), "not JSON"),
        (("--kernel", "/dev/null"), "image_os_hash_algo"),
    ],
)
def test_what_is_not_said_is_named(tmp_path, arguments, expected):
    """In one line."""
    out = tmp_path / "image"
    run = command("image", "get", "--out", str(out), *arguments)
    assert expected in refused(run)


def test_an_image_is_not_got_by_half(tmp_path):
    """Told to stop, it says so, and the next run goes on."""
    out = tmp_path / "image"
    held, more = threading.Event(), threading.Event()

    def hold(request):
        send = functools.partial(type(request).send, request)

        def half(body):
            send(body[: len(body) // 2])
            held.set()
            more.wait(20)
            request.close_connection = True

        request.send = half
        return False

    for number in (signal.SIGINT, signal.SIGTERM):
        with (
            serving(DATA, behave=hold) as origin,
            running(
                *("image", "get", "--url", origin.url + SECRET),
                *("--digest", DIGEST, "--out", str(out)),
            ) as get,
        ):
            assert held.wait(20)
            get.send_signal(number)
            _, err = get.communicate(timeout=20)
            more.set()
        assert get.returncode == 130
        assert err == "parallelops: interrupted\n"
        assert not out.exists()
        held.clear()
        more.clear()


def test_a_bar_shows_how_far_it_is(tmp_path):
    """On a terminal."""
    pytest.importorskip("tqdm", reason="the extra cli is missing")
    with serving(DATA) as origin:
        status, shown = on_a_terminal(
            [
                *(sys.executable, "-m", "parallelops", "image", "get"),
                *("--url", origin.url + SECRET, "--digest", DIGEST),
                *("--out", str(tmp_path / "image")),
            ]
        )
    assert status == 0
    assert "100%" in shown
    assert "512k/512k" in shown
    assert "hunter2" not in shown


def test_a_port_in_use_is_named(torrent, tmp_path):
    """By get, and by a tracker."""
    with (
        socket.create_server(("127.0.0.3", 0)) as taken,
        serving(DATA) as origin,
    ):
        address = f"127.0.0.3:{taken.getsockname()[1]}"
        for arguments in (
            ("tracker", "--listen", address),
            (
                *("image", "get", "--url", origin.url + SECRET),
                *("--torrent", str(torrent()), "--digest", DIGEST),
                *("--listen", address, "--out", str(tmp_path / "image")),
            ),
        ):
            line = refused(command(*arguments))
            assert address in line
            assert "in use" in line.lower()


def test_a_swarm_is_counted(image, torrent, tracker, tmp_path):
    """By those who have all of it, and those who have not."""
    from parallelops.download import scrape

    known = Torrent.load(torrent(tracker).read_bytes())
    with (
        load_executor("thread", max_workers=4) as executor,
        Swarm("127.0.0.5:0") as swarm,
        serving(DATA) as origin,
    ):
        from parallelops.download import HTTPSource

        runtime = executor.runtime
        assert scrape(tracker, known.info_hash, runtime) == (0, 0)
        Downloader(executor, swarm=swarm).fetch(
            Image(
                digest=DIGEST,
                torrent=known,
                sources=[HTTPSource(origin.url)],
            ),
            tmp_path / "image",
        )
        assert scrape(tracker, known.info_hash, runtime) != (0, 0)
