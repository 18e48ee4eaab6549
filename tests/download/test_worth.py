"""What an answer that breaks off has to bring, to count as one."""

from __future__ import annotations

import pytest
from tests.download.conftest import SIZE
from tests.download.origin import serving
from tests.download.test_origin import first

from parallelops.download import HTTPSource
from parallelops.errors import TransferError
from parallelops.runtime import ThreadRuntime


class Clock(ThreadRuntime):
    """It goes on while somebody takes his time."""

    skipped = 0.0

    def monotonic(self):
        return super().monotonic() + self.skipped


def read(data, cut, **options):
    """Read from a host whose answers break off, an hour for each part."""
    clock, position = Clock(), 0
    with serving(data, behave=lambda r: r.answer(cut=cut)) as origin:
        opened = HTTPSource(origin.url, **options).open(clock, SIZE)
        for offset, part in opened.stream(0, SIZE):
            position = offset + len(part)
            clock.skipped += 3600.0
        opened.close()
    return position


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr("parallelops.origin.copies._FIRST_PAUSE", 0.0)


def test_a_reader_who_takes_his_time_is_no_failure(data):
    """It is the host that has to be fast; its answers may break off."""
    assert read(data, SIZE // 12) == SIZE


def test_a_byte_each_time_is_as_good_as_none(data):
    """Eight times in a row, and no more: the next source may have it."""
    behave = first(20, lambda request: request.answer(cut=1))
    with serving(data, behave=behave) as origin:
        opened = HTTPSource(origin.url).open(Clock(), SIZE)
        with pytest.raises(TransferError, match="too early"):
            list(opened.stream(0, SIZE))
        opened.close()
        assert len(origin.log) == 8


def test_how_much_it_has_to_be_is_an_option(data):
    """What comes in a second, at the least."""
    with pytest.raises(TransferError, match="too early"):
        read(data, SIZE // 12, slowest=SIZE)
