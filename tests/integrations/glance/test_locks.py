"""Claims on images that no row of Glance's knows of."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import sqlalchemy

from parallelops import ThreadRuntime
from parallelops.errors import CatalogError
from parallelops.integrations.glance.database import Database
from parallelops.integrations.glance.locks import FileLocks, ServerLocks

LEASE = 60.0

HOLDER = """
import sys
from tests.integrations.glance.test_locks import locks_at
locks = locks_at(sys.argv[1])
print(*sorted(locks.take(sys.argv[2:], 60.0)), flush=True)
sys.stdin.read()
"""


def locks_at(place):
    """Those of a file, or of a server by the URL of a database."""
    if "://" not in place:
        return FileLocks(place)
    runtime = ThreadRuntime()
    return ServerLocks(Database(place, lock_timeout=1, runtime=runtime))


@pytest.fixture(params=["mariadb", "postgresql"])
def server(request):
    """The URL of a database that has locks."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["file", "mariadb", "postgresql"])
def place(request, tmp_path):
    """Where locks are."""
    if request.param == "file":
        return str(tmp_path / "locks")
    return request.getfixturevalue(request.param)


@pytest.fixture
def make(place):
    """Makes locks, as different scrubbers have them."""
    made = []

    def make():
        made.append(locks_at(place))
        return made[-1]

    yield make
    for each in made:
        each.close()
        if isinstance(each, ServerLocks):
            each._database.close()


def test_one_has_it_and_nobody_else(make):
    """Nobody waits; and who has it, is not given it twice."""
    ours, theirs = make(), make()
    assert ours.take(["a", "b"], LEASE) == {"a", "b"}
    assert theirs.take(["b", "c"], LEASE) == {"c"}
    assert ours.take(["a", "c"], LEASE) == set()
    ours.release(["a", "unheard of"])
    assert theirs.take(["a", "b"], LEASE) == {"a"}
    ours.keep(LEASE)
    assert ours.generation == 1
    ours.close()
    ours.close()
    assert theirs.take(["b"], LEASE) == {"b"}


def test_the_dead_let_go(make, place):
    """By SIGKILL as well."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, place, "a", "b"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "a b\n"
        ours = make()
        assert ours.take(["a", "c"], LEASE) == {"c"}
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    taken = set()
    while "a" not in taken:  # the server takes a moment to notice
        taken = ours.take(["a"], LEASE)


def test_who_lost_them_is_told(server):
    """The server ends a connection; what it held is anybody's."""
    ours, theirs = locks_at(server), locks_at(server)
    try:
        ours.take(["a"], LEASE)
        number, end = (
            ("pg_backend_pid()", "SELECT pg_terminate_backend({})")
            if "postgresql" in server
            else ("CONNECTION_ID()", "KILL {}")
        )
        (one,) = ours._database.ask(ours._connection, f"SELECT {number}", {})
        with theirs._database.engine.connect() as connection:
            connection.execute(sqlalchemy.text(end.format(one)))
        ours.keep(LEASE)
        assert ours.generation == 2
        taken = set()
        while not taken:
            taken = theirs.take(["a"], LEASE)
        assert ours.take(["a"], LEASE) == set()
        assert ours.take(["b"], LEASE) == {"b"}
    finally:
        for each in (ours, theirs):
            each.close()
            each._database.close()


def test_silence_ends_a_lease(server):
    """Somebody who was stopped does not keep others from their work."""
    ours, theirs = locks_at(server), locks_at(server)
    try:
        assert ours.take(["a"], 1.0)
        taken = set()
        while not taken:
            taken = theirs.take(["a"], LEASE)
        ours.keep(LEASE)
        assert ours.generation == 2
    finally:
        for each in (ours, theirs):
            each.close()
            each._database.close()


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    """With what to do."""
    with pytest.raises(CatalogError, match=r"no/locks: No such file"):
        FileLocks(str(tmp_path / "no" / "locks"))
