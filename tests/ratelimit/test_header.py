"""What a server may write into Retry-After."""

from __future__ import annotations

import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelops.ratelimit import retry_after

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("0.25", 0.25),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60),
        ("Tuesday, 14-Nov-23 22:14:20 GMT", 60),
        ("Tue, 14 Nov 2023 22:13:19 GMT", 0),  # it is over
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("1e9", None),
        ("\u0663", None),  # a digit, but not of theirs
        ("Tue, 99 Nov 99999999999999999999 22:14:20 GMT", None),
    ],
)
def test_what_it_says(value, seconds):
    """Seconds or a date; what is neither says nothing."""
    assert retry_after(value, NOW) == seconds


@given(st.integers(0, 10**7))
def test_a_date_is_as_good_as_seconds(seconds):
    """As long as the clocks agree."""
    date = email.utils.formatdate(NOW + seconds, usegmt=True)
    assert retry_after(date, NOW) == seconds


@given(st.text(max_size=40))
def test_nothing_that_a_server_says_breaks_it(value):
    """It is None, or seconds that can be waited."""
    seconds = retry_after(value, NOW)
    assert seconds is None or 0 <= seconds < 1e12
