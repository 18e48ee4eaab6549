"""What all tests need."""

from __future__ import annotations

import signal

import pytest


@pytest.fixture(autouse=True, scope="session")
def ctrl_c():
    """Ctrl-C works, in this process and those it starts.

    A shell has the jobs that it starts in the background ignore it, and
    that is inherited.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
