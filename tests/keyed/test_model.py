"""Any mix of operations, against what a list of them says."""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from parallelops import (
    ExecutorSaturated,
    Expired,
    KeyedExecutor,
    KeyQuarantined,
    KeySaturated,
    Superseded,
)
from parallelops.testing import Exploration

KEYS = st.sampled_from([*"abc", None])
MODES = st.sampled_from(["exclusive", "exclusive", "shared", "bypass"])


@dataclasses.dataclass
class Entry:
    """One operation, and what became of it."""

    number: int
    key: object
    mode: str
    begun: int | None = None
    ended: int | None = None


STEPS = st.one_of(
    st.tuples(
        st.just("enqueue"),
        KEYS,
        MODES,
        st.sampled_from([None, "t", "u"]),
        st.booleans(),
        st.sampled_from([None, None, 0.5]),
        st.sampled_from([0, 0, 1]),
    ),
    st.tuples(st.just("cancel"), st.integers(0, 20)),
    st.tuples(st.just("cancel_pending"), KEYS),
    st.tuples(st.just("quarantine"), st.sampled_from("abc")),
    st.tuples(st.just("release"), st.sampled_from("abc")),
    st.tuples(st.just("sleep"), st.sampled_from([0.25, 1])),
)


class Run:
    """Takes the steps, and notes what happens."""

    def __init__(self, sim, workers):
        self.sim = sim
        self.clock = 0
        self.entries, self.futures = [], []
        self.held = set()
        self.executor = sim.executor(workers)
        self.keyed = KeyedExecutor(
            self.executor,
            max_pending=8,
            max_pending_per_key=4,
            on_full="reject",
        )

    def tick(self):
        self.clock += 1
        return self.clock

    def perform(self, entry, fails):
        assert entry.begun is None, "it ran twice"
        entry.begun = self.tick()
        ordered = entry.mode != "bypass" and entry.key is not None
        assert not (ordered and entry.key in self.held), "it is held"
        self.sim.runtime.sleep(0.3)
        entry.ended = self.tick()
        if fails:
            raise LookupError

    def enqueue(self, key, mode, tag, supersede, ttl, fails):
        entry = Entry(len(self.entries), key, mode)
        ordered = key is not None and mode != "bypass"
        room = self.keyed.pending(key) if ordered else 0
        try:
            future = self.keyed.enqueue(
                key,
                lambda: self.perform(entry, fails),
                mode=mode,
                tag=tag,
                supersede=bool(supersede and tag and ordered),
                time_to_live=ttl,
            )
        except KeyQuarantined:
            assert key in self.held
        except KeySaturated:
            assert room >= 4
        except ExecutorSaturated:
            assert room < 4
        else:
            assert not (ordered and key in self.held)
            self.entries.append(entry)
            self.futures.append(future)
        assert self.keyed.stats().pending <= 8

    def cancel(self, number):
        if number < len(self.futures):
            self.futures[number].cancel()

    def cancel_pending(self, key):
        self.keyed.cancel_pending(key)

    def quarantine(self, key):
        self.keyed.quarantine(key, "why")
        self.keyed.drain(key)
        self.held.add(key)

    def release(self, key):
        self.held.discard(key)
        self.keyed.release(key)

    def sleep(self, seconds):
        self.sim.runtime.sleep(seconds)

    def check(self):
        for key in "abc":
            self.release(key)
        self.keyed.drain()
        for entry, future in zip(self.entries, self.futures, strict=True):
            assert future.done()
            if future.cancelled():
                assert entry.begun is None
                continue
            error = future.exception()
            if isinstance(error, Superseded | Expired):
                assert entry.begun is None
            else:
                assert entry.ended is not None
                assert error is None or isinstance(error, LookupError)
        self.check_order()
        stats = self.keyed.stats()
        assert stats.pending == stats.keys == 0
        assert len(self.entries) == (
            stats.succeeded
            + stats.failed
            + stats.cancelled
            + stats.expired
            + stats.superseded
        )
        assert len(self.keyed._turns.room) == 8
        self.keyed.shutdown()
        self.executor.shutdown()

    def check_order(self):
        ran = [e for e in self.entries if e.begun is not None]
        for first in ran:
            for second in ran:
                if (
                    first.number < second.number
                    and first.key == second.key is not None
                    and "bypass" not in (first.mode, second.mode)
                    and "exclusive" in (first.mode, second.mode)
                ):
                    assert first.ended < second.begun, (first, second)


@settings(max_examples=100, deadline=None)
@given(
    steps=st.lists(STEPS, max_size=25),
    workers=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_any_mix(steps, workers, seed):
    """Order, modes and bounds hold, and each operation ends once."""

    def scenario(sim):
        run = Run(sim, workers)
        for name, *arguments in steps:
            getattr(run, name)(*arguments)
        run.check()

    finding = Exploration(schedules=2, seed=seed).find(scenario)
    if finding is not None:
        raise finding.failure
