"""Images, and executors to download them with."""

from __future__ import annotations

import hashlib
import logging
import random
import traceback

import pytest

from parallelops import load_executor
from parallelops.download import Register
from parallelops.testing import FakeClock

SIZE = 3_000_001
SECRET = "?temp_url_sig=hunter2&temp_url_expires=1"


def digest_of(data):
    return "sha512:" + hashlib.sha512(data).hexdigest()


def told(what):
    """All that an error or a result says; no secret is in it."""
    if isinstance(what, BaseException):
        text = "".join(traceback.format_exception(what))
    else:
        text = repr(what)
    assert "hunter2" not in text
    return text


@pytest.fixture(autouse=True)
def no_secret(caplog):
    """Whatever goes wrong, no log has the secret of a URL."""
    caplog.set_level(logging.DEBUG)
    yield
    for when in ("setup", "call"):
        for record in caplog.get_records(when):
            assert "hunter2" not in record.getMessage()
            told(record.exc_info and record.exc_info[1])


@pytest.fixture(scope="session")
def data():
    """An image."""
    return random.Random(1).randbytes(SIZE)


@pytest.fixture
def executor():
    """Four threads."""
    with load_executor("thread", max_workers=4, max_queue=16) as executor:
        yield executor


@pytest.fixture
def clock():
    """One that goes on when it is told to."""
    return FakeClock()


@pytest.fixture
def register(clock):
    """What a tracker knows."""
    return Register(clock, places=2, lease=30.0, interval=10.0)
