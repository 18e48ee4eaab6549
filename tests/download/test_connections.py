"""An answer whose making is interrupted makes no noise when it goes."""

from __future__ import annotations

import gc
import itertools
import socket
import sys

from parallelops.origin.connections import _Reader, _Response

MAKING = {_Reader.__init__.__code__, _Response.__init__.__code__}


def interrupted_at(moment):
    """What to trace with: an interrupt at the line of that number, of those
    that make an answer."""
    lines = itertools.count(1)

    def trace(frame, event, _argument):
        if frame.f_code not in MAKING:
            return None
        if event == "line" and next(lines) == moment:
            raise KeyboardInterrupt
        return trace

    return trace


def test_an_interrupt_while_an_answer_is_made_is_quiet(monkeypatch):
    """At whatever line it comes."""
    noises = []
    monkeypatch.setattr(sys, "unraisablehook", noises.append)
    before = sys.gettrace()
    for moment in itertools.count(1):
        ours, theirs = socket.socketpair()
        sys.settrace(interrupted_at(moment))
        try:
            response = _Response(ours, late=lambda: False)
        except KeyboardInterrupt:
            response = None
        finally:
            sys.settrace(before)
        if response is not None:
            break
        gc.collect()
        ours.close()
        theirs.close()
    response.close()
    ours.close()
    theirs.close()
    assert moment > len(MAKING)
    assert [str(noise.exc_value) for noise in noises] == []
