"""Images, and executors to download them with."""

from __future__ import annotations

import hashlib
import random

import pytest

from parallelops import load_executor

SIZE = 3_000_001


def digest_of(data):
    return "sha512:" + hashlib.sha512(data).hexdigest()


@pytest.fixture(scope="session")
def data():
    """An image."""
    return random.Random(1).randbytes(SIZE)


@pytest.fixture
def executor():
    """Four threads."""
    with load_executor("thread", max_workers=4, max_queue=16) as executor:
        yield executor
