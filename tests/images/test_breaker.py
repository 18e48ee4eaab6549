"""When "not there" is hard to believe."""

from __future__ import annotations

import random

from parallelops.images.breaker import Breaker


def test_ten_in_a_row():
    """The tenth, and not before; an answer in between begins anew."""
    breaker = Breaker()
    assert not any(breaker.heard(gone=True) for _ in range(9))
    assert not breaker.heard(gone=False)
    heard = [breaker.heard(gone=True) for _ in range(10)]
    assert heard == [False] * 9 + [True]


def test_more_than_half_of_twenty():
    """Mixed with deletes that worked, which may be another disk's."""
    breaker = Breaker()
    answers = [True] * 11 + [False] * 9
    random.Random(4).shuffle(answers)
    heard = [breaker.heard(gone) for gone in answers]
    assert not any(heard[:19])
    assert any([*heard, breaker.heard(gone=True)])


def test_half_is_believed():
    """As after a crash, when what was deleted last is met again."""
    breaker = Breaker()
    assert not any(breaker.heard(bool(n % 2)) for n in range(100))


def test_a_store_that_has_shown_itself_is_believed_again():
    """For as long as before."""
    breaker = Breaker()
    for _ in range(3):
        heard = [breaker.heard(gone=True) for _ in range(10)]
        assert heard == [False] * 9 + [True]
        breaker.shown()
