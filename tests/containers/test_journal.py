"""The embedded journal: what it keeps, and what it refuses."""

from __future__ import annotations

import dataclasses
import itertools
import os
import random
import shutil
import sqlite3
import subprocess
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelops.containers import (
    TRANSITIONS,
    Entry,
    Fenced,
    InvalidOperation,
    JournalDamaged,
    JournalError,
    Lease,
    LeaseHeld,
    SQLiteJournal,
    State,
)
from parallelops.containers.operation import as_json, from_json
from parallelops.errors import IllegalTransition

NOW = 1_700_000_000.0


def entry(name="o", container="c", **changes):
    """An operation that somebody requests."""
    return Entry(
        **{
            "id": name,
            "container": container,
            "action": "start",
            "parameters": "{}",
            "mode": "exclusive",
            "recovery": "never",
            "scope": "",
            "accepted_at": NOW,
        }
        | changes
    )


def take(journal, owner="me", seconds=None, now=NOW):
    """The lease of the one scope."""
    return journal.take("", owner, now, seconds)


def run(journal, lease, name, state=State.SUCCEEDED):
    """An operation from the beginning to its end."""
    accepted = journal.accept(lease, entry(name))
    (running,) = journal.advance(lease, accepted.to(State.RUNNING, NOW))
    (ended,) = journal.advance(lease, running.to(state, NOW + 1))
    return ended


# -- what it keeps


def test_what_was_written_is_there(path):
    """It survives that the journal is closed and opened again."""
    with SQLiteJournal(path) as journal:
        lease = take(journal)
        wanted = entry("a", parameters='{"b":[1,null]}', expires_at=NOW + 5)
        accepted = journal.accept(lease, wanted)
        run(journal, lease, "b")
    with SQLiteJournal(path) as journal:
        assert journal.find("a") == accepted
        assert accepted == dataclasses.replace(wanted, sequence=1, epoch=1)
        assert journal.find("nobody") is None
        assert journal.unfinished([""]) == [accepted]
        assert journal.leases() == [Lease(scope="", owner="me", epoch=1)]
        assert [e.id for e in journal.history("c")] == ["a", "b"]
        assert [e.id for e in journal.history("c", 1)] == ["b"]
        assert [e.id for e in journal.entries()] == ["a", "b"]
        assert journal.damage() == []


def test_an_id_is_taken_once(journal):
    """The second to come gets the first one's operation, as it is now."""
    lease = take(journal)
    ended = run(journal, lease, "a")
    assert journal.accept(lease, entry("a", "other")) == ended


def test_only_the_transitions_are_possible(journal):
    """Each is in the table, or an error that writes nothing."""
    ways = {
        State.ACCEPTED: (),
        State.RUNNING: (State.RUNNING,),
        State.UNKNOWN: (State.RUNNING, State.UNKNOWN),
        State.SUCCEEDED: (State.RUNNING, State.SUCCEEDED),
        State.FAILED: (State.RUNNING, State.FAILED),
        State.CANCELLED: (State.CANCELLED,),
    }
    lease = take(journal)
    for old, new in itertools.product(State, State):
        name = f"{old}-{new}"
        now = journal.accept(lease, entry(name))
        for state in ways[old]:
            (now,) = journal.advance(lease, now.to(state, NOW))
        wanted = dataclasses.replace(now, state=new)
        if new in TRANSITIONS[old]:
            journal.advance(lease, wanted)
            assert journal.find(name).state is new
        else:
            with pytest.raises(IllegalTransition):
                journal.advance(lease, wanted)
            assert journal.find(name) == now


def test_several_go_together_or_not_at_all(journal):
    """What can't go there any more is left out, and said to be."""
    lease = take(journal)
    first, second, third = (
        journal.accept(lease, entry(name)) for name in "abc"
    )
    (first,) = journal.advance(lease, first.to(State.RUNNING, NOW))
    journal.advance(lease, second.to(State.RUNNING, NOW))
    written = journal.advance(
        lease,
        first.to(State.FAILED, NOW),
        [e.to(State.CANCELLED, NOW) for e in (second, third)],
    )
    assert [(e.id, e.state) for e in written] == [
        ("a", State.FAILED),
        ("c", State.CANCELLED),
    ]
    with pytest.raises(IllegalTransition):
        journal.advance(lease, first.to(State.FAILED, NOW), written[1:])
    with pytest.raises(IllegalTransition):
        journal.advance(lease, entry("nobody").to(State.RUNNING, NOW))


def test_threads_share_commits(journal):
    """Each has its own answer, and its place in the order."""
    lease = take(journal)
    commits = []
    journal._writer.set_trace_callback(
        lambda statement: commits.append(1) if statement == "COMMIT" else None
    )
    barrier = threading.Barrier(16)
    answers = []

    def write(number):
        barrier.wait()
        for n in range(20):
            name = f"{number}-{n}"
            answers.append(journal.accept(lease, entry(name, name)))
            assert answers[-1].id or name

    threads = [threading.Thread(target=write, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(a.sequence for a in answers) == list(range(1, 321))
    assert [e.sequence for e in journal.entries()] == list(range(1, 321))
    assert len(commits) < 320


def test_old_operations_are_pruned(journal):
    """Only those that have ended, and not the last."""
    lease = take(journal)
    for number in range(5):
        run(journal, lease, f"o{number}")
    waiting = journal.accept(lease, entry("waits"))
    assert journal.prune(lease, NOW) == 0
    assert journal.prune(lease, NOW + 2) == 5
    assert list(journal.entries()) == [waiting]
    journal.advance(lease, waiting.to(State.CANCELLED, NOW))
    assert journal.prune(lease, NOW + 2) == 0
    assert journal.accept(lease, entry("next")).sequence == 7
    assert journal.damage() == []


# -- leases


def test_an_older_epoch_can_write_nothing(path):
    """Whoever lost the lease is told so at each write."""
    with SQLiteJournal(path) as old, SQLiteJournal(path) as new:
        lease = take(old)
        accepted = old.accept(lease, entry())
        taken = take(new, "other")
        assert taken.epoch == lease.epoch + 1
        for write in (
            lambda: old.accept(lease, entry("late")),
            lambda: old.advance(lease, accepted.to(State.RUNNING, NOW)),
            lambda: old.renew(lease, NOW + 9),
            lambda: old.release(lease),
            lambda: old.prune(lease, NOW),
        ):
            with pytest.raises(Fenced) as caught:
                write()
            assert (caught.value.epoch, caught.value.current) == (1, 2)
        assert list(new.entries()) == [accepted]
        assert new.leases() == [taken]


def test_a_lease_holds_until_its_time_is_up(journal):
    """Its owner may take it again; others wait, or it is given back."""
    first = take(journal, "me", 10)
    with pytest.raises(LeaseHeld) as caught:
        take(journal, "other", 10, NOW + 9)
    assert (caught.value.owner, caught.value.until) == ("me", NOW + 10)
    assert take(journal, "me", 10, NOW + 1).epoch == first.epoch + 1
    mine = journal.renew(take(journal, "me", 10), NOW + 20)
    with pytest.raises(LeaseHeld):
        take(journal, "other", 10, NOW + 19)
    journal.release(mine)
    theirs = take(journal, "other", 10, NOW + 19)
    assert theirs.epoch == mine.epoch + 2
    assert take(journal, "me", 10, NOW + 29).epoch == theirs.epoch + 1


def test_scopes_have_leases_of_their_own(journal):
    """Taking one does not touch the others."""
    first = journal.take("a", "me", NOW, None)
    second = journal.take("b", "other", NOW, None)
    kept = journal.accept(first, entry("1", scope="a"))
    journal.accept(second, entry("2", scope="b"))
    journal.take("b", "third", NOW, None)
    (running,) = journal.advance(first, kept.to(State.RUNNING, NOW))
    assert journal.unfinished(["a"]) == [running]
    with pytest.raises(Fenced):
        journal.accept(second, entry("3", scope="b"))


# -- files that are not what they should be


def test_no_journal_is_made_where_none_is_wanted(path):
    """Whoever reads one does not make one."""
    with pytest.raises(JournalError, match="No such file"):
        SQLiteJournal(path, make=False)
    assert not path.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes"),
        (b"SQLite format 3\0", "16 bytes"),
        (b"x" * 8192, "not a database"),
    ],
)
def test_another_file_is_no_journal(path, content, message):
    """It is refused, and left as it is."""
    path.write_bytes(content)
    with pytest.raises(JournalDamaged, match=message):
        SQLiteJournal(path)
    assert path.read_bytes() == content


def test_another_database_is_no_journal(path):
    """Nor is a journal of another version."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (a)")
    connection.close()
    with pytest.raises(JournalError, match="another program"):
        SQLiteJournal(path)
    path.unlink()
    SQLiteJournal(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(JournalError, match="schema 9"):
        SQLiteJournal(path)


@pytest.mark.parametrize("suffix", ["", "-wal"])
@pytest.mark.parametrize("how", ["unlinked", "replaced"])
def test_a_file_that_is_gone_is_noticed(path, tmp_path, suffix, how):
    """SQLite would go on writing where nobody ever looks again."""
    with SQLiteJournal(path) as journal:
        lease = take(journal)
        journal.accept(lease, entry("before"))
        victim = path.with_name(path.name + suffix)
        kept = tmp_path / "kept"
        victim.rename(kept)
        if how == "replaced":
            shutil.copy(kept, victim)
        for name in ("first", "second"):
            with pytest.raises(JournalDamaged, match="removed") as caught:
                journal.accept(lease, entry(name))
            assert caught.value.journal == str(path)


def test_a_file_that_was_cut_short_is_noticed(path):
    """What it acknowledged before may be gone, and it says so."""
    with SQLiteJournal(path) as journal:
        lease = take(journal)
        for number in range(50):
            journal.accept(lease, entry(f"{number}", parameters="x" * 500))
    with SQLiteJournal(path) as journal:
        lease = take(journal)
        os.truncate(path, 8192)
        with pytest.raises(JournalDamaged):
            journal.accept(lease, entry("late"))
        with pytest.raises(JournalError):
            journal.accept(lease, entry("later"))
    with pytest.raises(JournalError), SQLiteJournal(path) as journal:
        journal.unfinished([""])


def test_a_journal_that_others_lock_refuses(path):
    """It waits for a while, and says what to do."""
    with SQLiteJournal(path, busy_timeout=0.01) as journal:
        lease = take(journal)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="another process") as caught:
            journal.accept(lease, entry("late"))
        assert caught.value.code == sqlite3.SQLITE_BUSY
        other.execute("ROLLBACK")
        other.close()
        assert journal.accept(lease, entry("later")).sequence == 1


def test_a_journal_that_cannot_be_written_refuses(path):
    """What is there can still be read."""
    with SQLiteJournal(path) as journal:
        lease = take(journal)
        kept = journal.accept(lease, entry())
        journal._writer.execute("PRAGMA query_only = ON")
        with pytest.raises(JournalError, match="write it") as caught:
            journal.accept(lease, entry("late"))
        assert caught.value.code == sqlite3.SQLITE_READONLY
        journal._writer.execute("PRAGMA query_only = OFF")
        assert list(journal.entries()) == [kept]


def test_a_full_disk_refuses_and_loses_nothing(tmp_path):
    """What was acknowledged is intact, and it goes on when there is room."""
    if os.geteuid():
        pytest.skip("only root can mount a disk of a fixed size")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * 400_000)
        with SQLiteJournal(disk / "journal") as journal:
            lease = take(journal)
            kept = []
            numbers = iter(range(1000))

            def fill():
                for n in numbers:
                    new = entry(f"{n}", parameters="x" * 4000)
                    kept.append(journal.accept(lease, new))

            with pytest.raises(JournalError) as caught:
                fill()
            assert caught.value.code in (
                sqlite3.SQLITE_FULL,
                sqlite3.SQLITE_IOERR,
            )
            assert kept
            assert list(journal.entries()) == kept
        ballast.unlink()
        with SQLiteJournal(disk / "journal") as journal:
            assert list(journal.entries()) == kept
            lease = take(journal)
            journal.accept(lease, entry("now"))
            assert journal.damage() == []
    finally:
        subprocess.run(["umount", disk], check=True)


def test_flipped_bits_are_told_or_make_no_difference(path, tmp_path):
    """Of what is read, each operation is as it was written."""
    with SQLiteJournal(path) as journal:
        lease = take(journal)
        for number in range(40):
            run(journal, lease, f"{number}")
            journal.accept(lease, entry(f"w{number}", f"c{number}"))
        wanted = journal.unfinished([""])
    content = path.read_bytes()
    chance = random.Random(1)
    flips = int(os.environ.get("FULL", "0")) * 1000 or 60
    told = 0
    copy = tmp_path / "copy.sqlite"
    for _ in range(flips):
        flipped = bytearray(content)
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        for name in ("copy.sqlite-wal", "copy.sqlite-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        copy.write_bytes(flipped)
        try:
            with SQLiteJournal(copy) as journal:
                assert journal.unfinished([""]) == wanted
        except JournalError:
            told += 1
    assert told > flips / 10


def test_a_forked_child_is_told_to_open_its_own(journal):
    """It would share the file's locks with its parent."""
    lease = take(journal)
    journal._process -= 1  # as seen from another process
    for use in (
        lambda: journal.accept(lease, entry()),
        lambda: journal.find("o"),
        lambda: list(journal.entries()),
    ):
        with pytest.raises(JournalError, match="forked"):
            use()
    journal.close()  # leaves the parent's alone
    journal._process += 1
    assert journal.accept(lease, entry()).sequence == 1


# -- what goes into it

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(VALUES)
def test_json_comes_out_as_it_went_in(value):
    """The same value has the same text."""
    text = as_json(value, 10**6, "it")
    assert from_json(text) == value
    assert as_json(from_json(text), 10**6, "it") == text


@pytest.mark.parametrize(
    "value", [{1: 2}, (1,), float("nan"), {1, 2}, object(), "x" * 99]
)
def test_what_is_no_json_is_refused(value):
    """Rather than come out as something else."""
    with pytest.raises(InvalidOperation, match="it must be"):
        as_json(value, 99, "it")
