"""Several conductors share containers, and some of them die."""

from __future__ import annotations

import collections
import contextlib
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

import pytest
from tests.containers.conductor import ACTIONS, Log
from tests.polling import LONG, until

from parallelops.containers import SQLiteJournal, State
from parallelops.containers.coordination import ToozMembership
from parallelops.errors import CoordinatorLost, MissingDependency

pytest.importorskip("tooz")

ROOT = pathlib.Path(__file__).parents[2]
CONTAINERS = 12
OPERATIONS = 240
PARTITIONS = 12


class Redis:
    """A server in a folder, that can be stopped and started again."""

    def __init__(self, folder):
        self.folder = folder
        self.process = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}?timeout=1&socket_timeout=1"
        self.start()

    def start(self):
        """It has forgotten what it knew before."""
        self.process = subprocess.Popen(
            [
                *("redis-server", "--port", str(self.port)),
                *("--bind", "127.0.0.1", "--dir", str(self.folder)),
                *("--save", "", "--appendonly", "no"),
            ],
            stdout=subprocess.DEVNULL,
        )
        until(self.answers)

    def answers(self):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        return False

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def redis(tmp_path, monkeypatch):
    """A redis of our own."""
    pytest.importorskip("redis")
    # Its client tries again and again, for a minute.
    monkeypatch.setattr("redis.retry.sleep", lambda seconds: None)
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed: apt install redis-server")
    server = Redis(tmp_path)
    yield server
    server.stop()


@pytest.fixture(params=["file", "redis"])
def url(request, tmp_path):
    """Of a coordinator of each kind."""
    if request.param == "redis":
        return request.getfixturevalue("redis").url
    return f"file://{tmp_path}/group?timeout=1"


class Conductors:
    """Processes over one journal; see ``conductor``."""

    def __init__(self, folder, url):
        self.url = url
        self.path = folder / "journal.sqlite"
        self.log = Log(folder / "log")
        self.todo = [
            (f"o{n:03}", f"c{n % CONTAINERS}", ACTIONS[n % len(ACTIONS)])
            for n in range(OPERATIONS)
        ]
        requests = Log(folder / "log.todo")
        for line in self.todo:
            requests(*line)
        SQLiteJournal(self.path).close()
        self.running = {}

    def begin(self, *names):
        for name in names:
            self.running[name] = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.containers.conductor"),
                    *(name, self.url, str(self.path), str(self.log.path)),
                    str(PARTITIONS),
                ],
                stdin=subprocess.PIPE,
                cwd=ROOT,
            )

    def kill(self, name):
        process = self.running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.stdin.close()
        process.wait()

    def end(self):
        for process in self.running.values():
            process.stdin.close()
        for process in self.running.values():
            assert process.wait(LONG) == 0
        self.running.clear()

    def owners(self):
        """How many partitions each of them has."""
        with SQLiteJournal(self.path, busy_timeout=LONG) as journal:
            return collections.Counter(
                lease.owner for lease in journal.leases() if lease.owner
            )

    def effects(self):
        return [w[1] for w in self.log.lines() if w[0] == "effect"]

    def entries(self):
        with SQLiteJournal(self.path, busy_timeout=LONG) as journal:
            return {entry.id: entry for entry in journal.entries()}

    def done(self):
        """Whether all is done, but what waits for an operator."""
        entries = self.entries()
        held = {
            e.container for e in entries.values() if e.state is State.UNKNOWN
        }
        return all(
            container in held or (key in entries and entries[key].finished)
            for key, container, _ in self.todo
        )


@pytest.fixture
def conductors(tmp_path, url):
    """Of that coordinator; those that are left are killed."""
    group = Conductors(tmp_path, url)
    yield group
    for name in list(group.running):
        group.kill(name)


def check(conductors):
    """Nothing was lost, nothing done twice that must not be, and what is
    the end of something stays so."""
    entries = conductors.entries()
    lines = conductors.log.lines()
    acknowledged = {w[1] for w in lines if w[0] == "acknowledged"}
    effects = conductors.effects()
    assert acknowledged <= set(entries)
    assert set(effects) <= set(entries)
    unknown = {
        e.container for e in entries.values() if e.state is State.UNKNOWN
    }
    for name, container, _ in conductors.todo:
        if name not in entries:
            assert container in unknown
            continue
        entry = entries[name]
        times = effects.count(name)
        if entry.action != "again":
            assert times <= 1, f"{name} was done twice"
        match entry.state:
            case State.SUCCEEDED:
                assert times
            case State.UNKNOWN:
                assert entry.action == "once"
            case State.ACCEPTED:
                assert entry.container in unknown, f"{name} was forgotten"
            case other:
                raise AssertionError(f"{name} is {other}")
    for number in range(CONTAINERS):
        mine = [n for n in effects if entries[n].container == f"c{number}"]
        order = list(dict.fromkeys(entries[n].sequence for n in mine))
        assert order == sorted(order), "out of order"


@pytest.mark.once
@pytest.mark.parametrize(
    ("url", "names"),
    [("file", "ab"), ("file", "abc"), ("redis", "abc")],
    indirect=["url"],
)
def test_the_others_take_over_from_one_that_is_killed(conductors, names):
    """Whatever it was at; nothing is lost, nothing done twice."""
    conductors.begin(*names)
    until(lambda: len(conductors.effects()) > OPERATIONS // 6)
    conductors.kill("a")
    others = set(names) - {"a"}
    until(lambda: set(conductors.owners()) == others)
    until(conductors.done)
    conductors.end()
    assert not conductors.owners()
    check(conductors)


@pytest.mark.once
def test_conductors_outlive_their_coordinator(tmp_path, redis):
    """They stop when their leases run out, and go on when it is back."""
    conductors = Conductors(tmp_path, redis.url)
    try:
        conductors.begin("a", "b")
        until(lambda: set(conductors.owners()) == {"a", "b"})
        redis.stop()
        until(lambda: not conductors.owners())
        redis.start()
        until(lambda: set(conductors.owners()) == {"a", "b"})
        until(conductors.done)
        conductors.end()
    finally:
        for name in list(conductors.running):
            conductors.kill(name)
    check(conductors)


@pytest.mark.parametrize("url", ["file", "redis"], indirect=True)
def test_a_group_knows_its_members(url):
    """From the first beat on, until they leave or are not heard of."""
    a, b = (ToozMembership(url, name) for name in "ab")
    other = ToozMembership(url, "c", group="another")
    assert a.beat() == {"a"}
    assert b.beat() == a.beat() == {"a", "b"}
    assert other.beat() == {"c"}
    b.leave()
    b.leave()
    assert a.beat() == {"a"}
    # As after a kill: its name is there, and it comes anew.
    again = ToozMembership(url, "a")
    assert again.beat() == {"a"}
    assert b.beat() == again.beat() == {"a", "b"}
    for member in (again, b, other):
        member.leave()


def test_a_coordinator_that_forgets_is_told_again(redis):
    """While it is down that is said, and when it is back all join."""
    a, b = (ToozMembership(redis.url, name) for name in "ab")
    a.beat()
    b.beat()
    redis.stop()
    for member in (a, b, a):
        with pytest.raises(CoordinatorLost, match="see that it runs"):
            member.beat()
    with pytest.raises(CoordinatorLost):
        ToozMembership(redis.url, "c").beat()
    redis.start()
    assert a.beat() == {"a"}
    assert b.beat() == a.beat() == {"a", "b"}
    a.leave()
    b.leave()


@pytest.mark.parametrize(
    "url", ["nobody://:secret@host", "redis://:secret@127.0.0.1:1"]
)
def test_a_coordinator_that_is_not_there_is_named(url, monkeypatch):
    """Without what is secret in its address."""
    monkeypatch.setattr("redis.retry.sleep", lambda seconds: None)
    with pytest.raises(CoordinatorLost) as caught:
        ToozMembership(url, "a").beat()
    assert "secret" not in str(caught.value) + caught.value.url
    ToozMembership(url, "a").leave()


def test_without_tooz_the_extra_is_named(monkeypatch):
    """Before anything else."""
    monkeypatch.setitem(sys.modules, "tooz", None)
    with pytest.raises(MissingDependency, match="coordination") as caught:
        ToozMembership("file:///nowhere", "a")
    assert caught.value.extra == "coordination"
