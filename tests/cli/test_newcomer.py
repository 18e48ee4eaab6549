"""What goes wrong in the first minutes ends in one clear line."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.cli.test_cli import LIMIT, command, refused

from parallelops.cli import arguments, main
from parallelops.errors import MissingDependency

pytestmark = pytest.mark.once

DIGEST = "sha512:" + hashlib.sha512(b"").hexdigest()
PARALLELOPS = (sys.executable, "-W", "error", "-m", "parallelops")


@contextlib.contextmanager
def taken_port():
    """A port that somebody else listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def silent_origin():
    """The URL of an origin that takes requests and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked = threading.Event()
        taken = []

        def take() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(server.accept()[0])
                    asked.set()

        thread = threading.Thread(target=take)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/image", asked
        server.shutdown(socket.SHUT_RDWR)
        thread.join(LIMIT)
        for connection in taken:
            connection.close()


def said(capsys, *line) -> str:
    """The one line that the command ends with, in this process."""
    try:
        status = main(list(line))
    except SystemExit as exit_:
        status = exit_.code
    captured = capsys.readouterr()
    assert status in (1, 2)
    assert captured.out == ""
    last = captured.err.strip().splitlines()[-1]
    # Nothing but the usage may stand before it.
    assert captured.err == f"{last}\n" or captured.err.startswith("usage: ")
    return last


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "required: COMMAND"),
        ("scrubb", "invalid choice: 'scrubb'"),
        ("demo --imgs=3", "unrecognized arguments: --imgs=3"),
        ("demo --images three", "'three' is not a whole number above 0"),
        ("demo --keep /nonexistent/x", "/nonexistent/x: No such file"),
        ("demo containers --keep /nonexistent/x", "/nonexistent/x: No such"),
        ("demo --executor tread", "there is no such plug-in"),
        ("tracker --listen here", "'here' is not ADDRESS:PORT"),
        ("tracker --listen 127.0.0.1:70000", "is not ADDRESS:PORT"),
        ("tracker --torrent /nonexistent", "/nonexistent: No such file"),
        ("image torrent show /nonexistent", "/nonexistent: No such file"),
        ("image get --out x --url http://x/", "give --digest"),
        ("operations list /nonexistent", "cannot open the journal"),
        ("operations audit /etc/passwd", "it is not a journal"),
        ("scrub --config-file /nonexistent", "/nonexistent"),
        ("scrub --catalog /nonexistent --store /tmp", "no catalogue"),
    ],
)
def test_a_mistake_is_named(capsys, line, words):
    """Unknown commands and options, wrong values, missing files."""
    assert words in said(capsys, *line.split())


@pytest.mark.parametrize("bad", [":6969", "localhost:1", "[::1]", "::1:x"])
def test_where_to_listen(bad):
    """What is taken is handed on as it is; the rest is told in words."""
    for good in ("[::1]:0", "127.0.0.1:65535"):
        assert arguments.listening(good) == good
    with pytest.raises(arguments.argparse.ArgumentTypeError, match="is not"):
        arguments.listening(bad)


def test_a_port_in_use(capsys):
    """It is named, with what to do."""
    with taken_port() as port:
        line = said(capsys, "tracker", "--listen", f"127.0.0.1:{port}")
    assert line == (
        f"parallelops: error: cannot listen at 127.0.0.1:{port}: Address "
        f"already in use; choose another address or port with --listen"
    )


def test_a_port_that_needs_root(capsys, monkeypatch):
    """The same for who may not."""

    def bind(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("socketserver.TCPServer.server_bind", bind)
    line = said(capsys, "tracker", "--listen", "127.0.0.1:80")
    assert "cannot listen at 127.0.0.1:80: Permission denied; choose" in line


def test_a_folder_that_can_not_be_written(capsys, monkeypatch, tmp_path):
    """Neither for what is asked for, nor for temporary files."""

    def mkdir(path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr("os.mkdir", mkdir)
    assert said(capsys, "demo", "--keep", str(tmp_path / "x")) == (
        f"parallelops: error: {tmp_path / 'x'}: Read-only file system"
    )
    assert "Read-only file system" in said(capsys, "demo")


def test_without_libtorrent(tmp_path):
    """The scrub works; who wants to download is told what is missing."""
    (tmp_path / "libtorrent.py").write_text("raise ImportError('none')\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    arguments = ("demo", "--images=3", "--delay=0", "--executor=thread")
    assert command(*arguments, env=environment).returncode == 0
    run = command(
        "demo", "download", "--agents=2", "--size=1", env=environment
    )
    assert "a swarm needs libtorrent: install it, on" in refused(run)
    assert len(run.stderr.splitlines()) == 1


def test_what_is_missing_may_have_a_remedy_of_its_own():
    """As a wheel that does not exist can't be installed."""
    error = MissingDependency("x", "y", None, "use z")
    assert str(error) == "x needs y: use z"
    assert error.name == "y"


@pytest.mark.parametrize("arguments", ["executors --json", "demo --help"])
def test_output_that_nobody_reads(arguments):
    """A reader that is gone is no reason for a word; the status is that of
    a process that was ended by it. argparse ends well all the same."""
    ours, theirs = os.pipe()
    os.close(ours)
    run = subprocess.run(
        [*PARALLELOPS, *arguments.split()],
        stdout=theirs,
        stderr=subprocess.PIPE,
        timeout=LIMIT,
        check=False,
    )
    os.close(theirs)
    assert run.stderr == b""
    unread = 128 + signal.SIGPIPE
    assert run.returncode in (
        (0, unread) if "--help" in arguments else (unread,)
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_output_that_finds_no_room():
    """A full disk is an error, and not forgotten at exit."""
    run = subprocess.run(
        f"{' '.join(PARALLELOPS)} executors > /dev/full",
        shell=True,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert "No space left on device" in run.stderr


def test_streams_that_are_closed():
    """As a careless service manager hands them over: no file of ours takes
    their place."""
    run = subprocess.run(
        f"{' '.join(PARALLELOPS)} executors <&- >&- 2>&-",
        shell=True,
        timeout=LIMIT,
        check=False,
    )
    assert run.returncode == 0


@pytest.mark.parametrize("columns", ["1", "20"])
def test_a_narrow_terminal(columns):
    """Help is told there as well."""
    run = command("demo", "--help", env={**os.environ, "COLUMNS": columns})
    assert run.returncode == 0, run.stderr


def interrupted(process) -> None:
    """Ctrl-C, as a terminal sends it: to the whole group."""
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=LIMIT)
    assert errors == "parallelops: interrupted\n"
    assert process.returncode == 130


def started(*arguments, **options) -> subprocess.Popen[str]:
    """A command in a group of its own.

    Without warnings: Ctrl-C may come before a socket has an owner.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "parallelops", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def test_ctrl_c_ends_the_tracker():
    """In one line."""
    with started("tracker", "--listen", "127.0.0.1:0") as tracker:
        assert tracker.stdout.readline().startswith("http://")
        interrupted(tracker)


def test_ctrl_c_ends_a_download(silent_origin, tmp_path):
    """Even one that waits for an origin that does not answer."""
    url, asked = silent_origin
    out = tmp_path / "image"
    with started(
        *("image", "get", "--url", url, "--digest", DIGEST),
        *("--out", str(out)),
    ) as image:
        assert asked.wait(LIMIT)
        interrupted(image)
    assert not out.exists()


@pytest.mark.parametrize(
    ("what", "begun"),
    [("containers", "*/journal.sqlite"), ("download", "*/.origin-0*")],
)
def test_ctrl_c_ends_a_demonstration(what, begun, tmp_path):
    """With all of its processes, and nothing is left."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    arguments = ("--agents=2", "--size=20", "--rate=1", "--operations=100000")
    with started("demo", what, *arguments, env=environment) as demo:
        while not list(tmp_path.glob(begun)):
            assert demo.poll() is None
        interrupted(demo)
    assert list(tmp_path.iterdir()) == []
