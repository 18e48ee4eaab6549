"""A write-ahead log that is damaged while nobody has it open."""

from __future__ import annotations

import os
import random
import shutil

import pytest
from tests.containers.test_journal import entry, take

from parallelops.containers import JournalDamaged, SQLiteJournal
from parallelops.containers.walcheck import damage_of_log

FULL = bool(os.environ.get("FULL"))
HEADER, FRAME = 32, 24 + 4096
OPERATIONS = 12


@pytest.fixture
def left(path, tmp_path):
    """A journal and its log as after a kill, and where the log's last
    transaction begins."""
    log = path.with_name(f"{path.name}-wal")
    with SQLiteJournal(path) as journal:
        lease = take(journal)
        for number in range(OPERATIONS):
            start = log.stat().st_size
            journal.accept(lease, entry(f"o{number}"))
        copy = tmp_path / "copy"
        shutil.copy(path, copy)
        shutil.copy(log, tmp_path / "copy-wal")
    return copy, tmp_path / "copy-wal", start


def test_a_log_that_was_left_is_whole(left):
    """All of it is there."""
    path, log, _ = left
    assert damage_of_log(log) is None
    with SQLiteJournal(path) as journal:
        assert len(list(journal.entries())) == OPERATIONS
    assert damage_of_log(log) is None


def test_a_bit_that_flips_is_noticed(left):
    """In whatever was followed by another transaction, but for bits that
    nobody reads; SQLite would open it, and know less."""
    path, log, last = left
    data = log.read_bytes()
    chance = random.Random(3)
    places = [*range(HEADER), *range(HEADER, HEADER + 24)]
    places += chance.sample(range(HEADER, last), 500 if FULL else 60)
    missed = []
    for place in places:
        bit = 1 << chance.randrange(8)
        flipped = bytearray(data)
        flipped[place] ^= bit
        log.write_bytes(flipped)
        if damage_of_log(log) is None:
            missed.append((place, bit))
            continue
        with pytest.raises(JournalDamaged, match="damaged") as caught:
            SQLiteJournal(path)
        assert caught.value.journal == str(path)
        assert log.read_bytes() == flipped, "it was opened"
    assert missed == []


def test_a_last_transaction_that_is_torn_is_no_damage(left):
    """It was never acknowledged, as far as anybody can tell."""
    path, log, last = left
    data = log.read_bytes()
    chance = random.Random(4)
    for _ in range(100 if FULL else 20):
        torn = bytearray(data)
        for sector in range(last // 512 + 1, len(data) // 512 + 1):
            if chance.random() < 0.5:
                torn[sector * 512 : sector * 512 + 512] = bytes(
                    len(torn[sector * 512 : sector * 512 + 512])
                )
        log.write_bytes(torn[: chance.randrange(last, len(data) + 1)])
        assert damage_of_log(log) is None
    log.write_bytes(data[:last])
    with SQLiteJournal(path) as journal:
        assert len(list(journal.entries())) == OPERATIONS - 1


def test_what_an_older_log_left_behind_is_no_damage(path):
    """A log is written anew from its beginning, over the old one."""
    log = path.with_name(f"{path.name}-wal")
    with SQLiteJournal(path) as journal:
        lease = take(journal)
        for number in range(OPERATIONS):
            journal.accept(lease, entry(f"o{number}"))
        size = log.stat().st_size
        journal._writer.execute("PRAGMA wal_checkpoint").fetchall()
        for number in range(3):
            journal.accept(lease, entry(f"p{number}"))
            assert log.stat().st_size == size
            assert damage_of_log(log) is None
