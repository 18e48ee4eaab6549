"""The command line, as a process: what it prints, and how it ends."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

import pytest

from parallelops.images import LocationStatus, SQLiteCatalog

# Each starts processes, and takes long.
pytestmark = pytest.mark.once

LIMIT = 60


def command(*arguments, **options) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "parallelops", *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        **options,
    )


def refused(run: subprocess.CompletedProcess[str]) -> str:
    """The one line that a refused command says, without a traceback."""
    assert run.returncode not in (0, None)
    assert run.stdout == ""
    lines = run.stderr.strip().splitlines()
    assert "Traceback" not in run.stderr
    assert lines[-1].startswith("parallelops")
    return lines[-1]


class Images:
    """A catalogue and a store with five deleted images, and a kept one."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "store"
        self.catalog = folder / "catalog.sqlite"
        self.store.mkdir()
        with SQLiteCatalog(self.catalog) as catalog:
            for name in ("a", "b", "c", "d", "e", "kept"):
                path = self.store / name
                path.write_bytes(b"data")
                catalog.add_image(name, [(path.as_uri(), "files")])
                if name != "kept":
                    catalog.delete_image(name, now=1.0)

    def files(self) -> list[str]:
        """What is left in the store."""
        return sorted(path.name for path in self.store.iterdir())

    def counts(self) -> dict[str, int]:
        """How many locations the catalogue has in each status."""
        with SQLiteCatalog(self.catalog) as catalog:
            return {k: n for k, n in catalog.counts().items() if n}

    def scrub(self, *arguments) -> subprocess.CompletedProcess[str]:
        """Run the command on them."""
        return command(
            "scrub",
            f"--catalog={self.catalog}",
            f"--store=files={self.store}",
            *arguments,
        )


@pytest.fixture
def images(tmp_path):
    """Images of which five are to be scrubbed."""
    return Images(tmp_path)


@pytest.mark.parametrize("arguments", [(), ("--help",), ("demo", "--help")])
def test_help(arguments):
    """Asked for or not, the user is told how to call it."""
    run = command(*arguments)
    assert run.returncode == (0 if arguments else 2)
    assert "usage: parallelops" in run.stdout + run.stderr
    lines = run.stdout.splitlines()
    assert max(map(len, lines), default=0) <= 80
    assert len(lines) <= 24


def test_version():
    """It says which version it is."""
    assert re.fullmatch(
        r"parallelops \d+\.\d+\.\d+\n", command("--version").stdout
    )


def test_executors():
    """The built-in ones are listed, and work."""
    run = command("executors")
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0].split() == ["NAME", "FROM", "TARGET", "STATUS"]
    names = [line.split()[0] for line in lines[1:5]]
    assert names == ["serial", "thread", "greenthread", "dask"]
    listed = json.loads(command("executors", "--json").stdout)
    assert listed[1]["status"] == "ok"
    assert listed[1]["target"].endswith(":ThreadExecutor")


def broken_plugin(folder: Path) -> dict[str, str]:
    """An environment with a plug-in that cannot be imported."""
    info = folder / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(
        "[parallelops.executors]\nbad = no_such_module:Executor\n"
    )
    return {**os.environ, "PYTHONPATH": str(folder)}


def test_broken_executor(tmp_path):
    """One that is broken is named, with the reason, and the status is 1."""
    run = command("executors", env=broken_plugin(tmp_path))
    assert run.returncode == 1
    assert re.search(r"^bad +broken 1\.0 .* broken$", run.stdout, re.MULTILINE)
    assert "no_such_module" in run.stdout


def test_executor_whose_extra_is_missing(tmp_path):
    """One whose extra is not installed is no fault, and says what to do."""
    (tmp_path / "eventlet.py").write_text("raise ImportError('none')\n")
    run = command("executors", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert run.returncode == 0, run.stderr
    assert re.search(
        r"^greenthread .* not installed$", run.stdout, re.MULTILINE
    )
    assert "pip install 'parallelops[greenthread]'" in run.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--pool-size=3",),
        ("--executor=thread", "--pool-size=3"),
        ("--executor=greenthread", "--pool-size=3"),
        ("--executor=greenthread",),
        ("--executor=serial",),
    ],
)
def test_scrub(images, arguments):
    """What is due is deleted, and nothing else, by each executor."""
    if "--executor=greenthread" in arguments:
        pytest.importorskip("eventlet", reason="the extra is missing")
    run = images.scrub(*arguments)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert "5 locations" in run.stdout
    assert images.files() == ["kept"]
    assert images.counts() == {
        LocationStatus.DELETED: 5,
        LocationStatus.ACTIVE: 1,
    }
    again = images.scrub("--json", *arguments)
    assert json.loads(again.stdout)["results"] == []


def test_scrub_with_one_store_for_all(images):
    """A store without a name takes every location."""
    run = command(
        "scrub", f"--catalog={images.catalog}", f"--store={images.store}"
    )
    assert run.returncode == 0, run.stderr
    assert images.files() == ["kept"]


def test_dry_run(images):
    """It says what it would do, and does nothing."""
    run = images.scrub("--dry-run", "--json")
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["dry_run"]
    assert len(report["results"]) == 5
    assert len(images.files()) == 6
    assert images.counts()[LocationStatus.PENDING_DELETE] == 5


@pytest.mark.parametrize("size", ["1", "3"])
def test_trace(images, size, tmp_path):
    """A timeline has a slice for each image, and is never overwritten."""
    file = tmp_path / "trace.json"
    arguments = (f"--trace={file}", f"--pool-size={size}")
    run = images.scrub(*arguments)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    trace = file.read_text()
    records = json.loads(trace)
    assert [r["ph"] for r in records].count("B") == 5
    assert records[0]["args"] == {"name": "scrub"}
    assert str(file) in refused(images.scrub(*arguments))
    assert file.read_text() == trace


def test_limit_and_scrub_time(images):
    """It stops where it is told to, and waits as long as it is told to."""
    assert images.scrub("--limit=2").returncode == 0
    assert len(images.files()) == 4
    assert images.scrub("--scrub-time=1e12").returncode == 0
    assert len(images.files()) == 4


def test_configuration_file(images, tmp_path):
    """Everything can be in a file, and arguments take its place."""
    file = tmp_path / "scrub.conf"
    file.write_text(
        "[parallelops]\n"
        f"scrub_catalog = {images.catalog}\n"
        f"scrub_stores = files:{images.store}\n"
        "scrub_pool_size = 2\n"
        "scrub_time = 1000000000000\n"
    )
    assert command("scrub", f"--config-file={file}").returncode == 0
    assert len(images.files()) == 6
    run = command("scrub", f"--config-file={file}", "--scrub-time=0")
    assert run.returncode == 0, run.stderr
    assert images.files() == ["kept"]


def test_limits_are_kept_in_a_file(images, tmp_path):
    """The rates that stores turned out to take, for the next process."""
    file = tmp_path / "limits.json"
    kept = {"version": 1, "stores": [["files", 1000.0, True]]}
    file.write_text(json.dumps(kept))
    before = file.stat().st_ino
    run = images.scrub(f"--limits-file={file}")
    assert run.returncode == 0, run.stderr
    assert file.stat().st_ino != before
    assert json.loads(file.read_text())["stores"][0][0] == "files"


def test_green_threads_by_configuration_file(images, tmp_path):
    """The executor may be chosen there too, although it comes late."""
    pytest.importorskip("eventlet", reason="the extra is missing")
    file = tmp_path / "scrub.conf"
    file.write_text(
        "[parallelops]\nexecutor = greenthread\nscrub_pool_size = 3\n"
    )
    run = images.scrub(f"--config-file={file}")
    assert run.returncode == 0, run.stderr
    assert images.files() == ["kept"]


def test_failures_are_in_the_status_and_the_report(images):
    """What could not be deleted is named, and the status is 1."""
    (images.store / "c").unlink()
    (images.store / "c").mkdir()
    run = images.scrub()
    assert run.returncode == 1
    assert re.search(r"image c, location \d+ .*: unsupported: ", run.stdout)
    assert images.files() == ["c", "kept"]
    assert images.counts()[LocationStatus.PENDING_DELETE] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pool-size=0"], "argument --pool-size: '0' is not a whole"),
        (["--pool-size=many"], "'many' is not a whole number"),
        (["--scrub-time=nan"], "'nan' is not a number of seconds"),
        (["--store==x"], "'=x' is not NAME=FOLDER"),
        (["--executor=threads"], "did you mean 'thread'"),
        (["--executor=serial", "--pool-size=2"], "scrub_pool_size"),
        (["--catalog=/nonexistent/file"], "/nonexistent/file"),
        (["--catalog=/etc/passwd"], "/etc/passwd"),
        (["--config-file=/nonexistent/file"], "/nonexistent/file"),
        (["--config-file=/etc/passwd"], "/etc/passwd"),
        (["--store=/nonexistent"], "name every store"),
        (["--delete-timeout=0"], "scrub_delete_timeout"),
        (["--daemon", "--limit=1"], "--daemon goes neither"),
        (["--interval=0"], "scrub_interval"),
        (["--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_bad_input_to_scrub(images, arguments, said):
    """Each mistake is one line that names it, and nothing is touched."""
    assert said in refused(images.scrub(*arguments))
    assert len(images.files()) == 6


def test_nothing_to_scrub():
    """Without a catalogue or a store it says what is missing."""
    assert "--catalog FILE" in refused(command("scrub"))
    assert "--store" in refused(command("scrub", "--catalog=x"))


def test_misspelt_option(images, tmp_path):
    """A misspelt option is named, with what was meant."""
    file = tmp_path / "scrub.conf"
    file.write_text("[parallelops]\nscrub_poolsize = 4\n")
    said = refused(images.scrub(f"--config-file={file}"))
    assert "[parallelops] scrub_poolsize" in said
    assert "did you mean 'scrub_pool_size'" in said


@pytest.fixture
def in_memory(tmp_path):
    """A folder whose files are in memory, if there is such a place."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        dir=memory if os.access(memory, os.W_OK) else tmp_path
    ) as name:
        yield Path(name)


def test_demo(in_memory):
    """The demonstration scrubs all of it on every executor, and cleans up.

    It syncs some 360 times, which took a minute on a disk that others used.
    """
    environment = {**os.environ, "TMPDIR": str(in_memory)}
    run = command(
        "demo",
        "--images=24",
        "--delay=0.001",
        "--workers=4",
        "--json",
        env=environment,
    )
    assert run.returncode == 0, run.stderr
    results = json.loads(run.stdout)
    expected = {("serial", 1), ("thread", 1), ("thread", 4)}
    assert {(r["executor"], r["workers"]) for r in results} >= expected
    assert {(r["images"], r["failures"]) for r in results} == {(24, 0)}
    assert list(in_memory.iterdir()) == []


def test_demo_keeps_its_folder(tmp_path):
    """Asked to, it leaves the folder, and will not use one that is there."""
    folder = tmp_path / "demo"
    arguments = ("demo", f"--keep={folder}", "--images=3", "--executor=thread")
    run = command(*arguments, "--delay=0")
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0].split()[:3] == ["EXECUTOR", "WORKERS", "IMAGES"]
    assert len(lines) == 4
    report = json.loads((folder / "thread-16" / "report.json").read_text())
    assert report["ok"]
    assert str(folder) in refused(command(*arguments))


def test_demo_of_an_unknown_executor():
    """An executor that is not there is named before anything is made."""
    assert "did you mean 'thread'" in refused(
        command("demo", "--executor=tread")
    )


def test_output_that_nobody_reads(images):
    """A reader that goes away is no reason for a traceback."""
    run = subprocess.run(
        f"{sys.executable} -m parallelops executors --json | head -c 1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert run.stdout == "["
    assert run.stderr == ""


def on_a_terminal(arguments: list[str]) -> tuple[int, str]:
    """Run a command whose standard error is a terminal; what it showed."""
    ours, theirs = pty.openpty()
    rows_and_columns = struct.pack("HHHH", 24, 80, 0, 0)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, rows_and_columns)
    process = subprocess.Popen(
        arguments, stderr=theirs, stdout=subprocess.DEVNULL
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:
        pass  # the other end is closed
    os.close(ours)
    return process.wait(LIMIT), shown.decode()


@pytest.mark.parametrize("tqdm", [True, False])
def test_progress_on_a_terminal(images, tqdm, tmp_path):
    """On a terminal there is a bar, and plain lines without tqdm."""
    if tqdm:
        pytest.importorskip("tqdm", reason="the extra cli is missing")
    hide = "" if tqdm else "import sys; sys.modules['tqdm'] = None; "
    status, shown = on_a_terminal(
        [
            sys.executable,
            "-c",
            f"{hide}import parallelops.cli as c; raise SystemExit(c.main())",
            "scrub",
            f"--catalog={images.catalog}",
            f"--store={images.store}",
        ]
    )
    assert status == 0, shown
    assert "5/5" in shown
    assert ("%|" in shown) is tqdm


def test_interrupt(tmp_path):
    """Ctrl-C ends the demonstration in one line, with nothing left."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "parallelops", "demo", "--delay=0.5"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not list(tmp_path.glob("*/*/slow/*")):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert errors == "parallelops: interrupted\n"
    assert output == ""
    assert list(tmp_path.iterdir()) == []


class Daemon:
    """A scrubber in a process of its own, to be told to stop."""

    def __init__(self, images, *arguments) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-W", "error", "-m", "parallelops"),
                "scrub",
                f"--catalog={images.catalog}",
                f"--store=files={images.store}",
                *arguments,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *exc_info) -> None:
        self.process.kill()
        self.process.communicate()

    def report(self) -> dict:
        """The next report."""
        return json.loads(self.process.stdout.readline())

    def end(self, number) -> tuple[int, str]:
        """Send it a signal; its status, and what it said."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=LIMIT)
        return self.process.returncode, errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("size", ["1", "3"])
def test_daemon(images, number, size, tmp_path):
    """It scrubs what comes, until it is told to stop; that is no failure."""
    arguments = ("--daemon", "--json", "--interval=1", f"--pool-size={size}")
    with Daemon(images, *arguments) as daemon:
        assert len(daemon.report()["images"]) == 5
        with SQLiteCatalog(images.catalog) as catalog:
            catalog.delete_image("kept", now=1.0)
        while not (found := daemon.report()["images"]):
            pass
        assert found == ["kept"]
        assert daemon.end(number) == (0, "")
    assert images.files() == []


def test_daemon_on_green_threads(images):
    """It is told to stop there as well."""
    pytest.importorskip("eventlet", reason="the extra is missing")
    with Daemon(
        images, "--daemon", "--json", "--executor=greenthread", "--pool-size=2"
    ) as daemon:
        assert len(daemon.report()["images"]) == 5
        assert daemon.end(signal.SIGTERM) == (0, "")


def test_a_signal_in_the_middle(images):
    """What was begun is recorded, the rest is left, and the status says
    which signal it was."""
    # A rate that lets one delete through, and the next in an hour.
    config = images.store.parent / "scrub.conf"
    config.write_text("[parallelops]\nscrub_rates = files:0.0003\n")
    audit = images.store.parent / "audit"
    with Daemon(
        images, f"--config-file={config}", f"--audit={audit}", "--drain=1"
    ) as scrub:
        while not (audit.exists() and "DeleteTried" in audit.read_text()):
            assert scrub.process.poll() is None
        status, errors = scrub.end(signal.SIGTERM)
    assert status == 128 + signal.SIGTERM, errors
    assert errors == ""
    assert len(images.files()) == 5
    ended = json.loads(audit.read_text().splitlines()[-1])
    assert ended["event"] == "ScrubEnded"
    assert ended["locations"] == 5
    assert images.counts()[LocationStatus.PENDING_DELETE] == 4


def test_audit(images, tmp_path):
    """A line for each thing that happens, in order; more is added."""
    audit = tmp_path / "audit.jsonl"
    for _ in range(2):
        assert images.scrub(f"--audit={audit}").returncode == 0
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    names = [line["event"] for line in lines]
    first = names[: names.index("ScrubEnded") + 1]
    assert first[0] == "ScrubStarted"
    assert first.count("DeleteTried") == 5
    assert first.count("LocationRecorded") == 5
    assert names[len(first) :] == ["ScrubStarted", "ScrubEnded"]
    recorded = [x for x in lines if x["event"] == "LocationRecorded"]
    assert {x["image"] for x in recorded} == set("abcde")
    assert {x["outcome"] for x in recorded} == {"deleted"}
    walls = [line["wall"] for line in lines]
    assert walls == sorted(walls)
    assert audit.stat().st_mode & 0o777 == 0o600


def test_limits_by_configuration_file(images, tmp_path):
    """Each store has its own; a store that is not there is an error."""
    file = tmp_path / "scrub.conf"
    file.write_text(
        "[parallelops]\nscrub_rates = *:1000\nscrub_max_in_flight = files:1\n"
    )
    assert images.scrub(f"--config-file={file}").returncode == 0
    file.write_text("[parallelops]\nscrub_rates = flies:1000\n")
    said = refused(images.scrub(f"--config-file={file}"))
    assert "[parallelops] scrub_rates" in said
    assert "did you mean 'files'" in said
