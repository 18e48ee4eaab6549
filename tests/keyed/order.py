"""Order, bounds and waiting, whatever a keyed executor runs on."""

from __future__ import annotations

import collections
import gc
import itertools
import os
import random

import pytest
from tests.keyed.base import LIMIT, KeyedBase, forbidden
from tests.polling import until

from parallelops import (
    DeadlockError,
    ExecutorSaturated,
    Expired,
    KeyedExecutor,
    KeySaturated,
    Superseded,
)
from parallelops.testing.contract.base import Gate, log_of

# How many operations the order is tried with; a million takes minutes.
FULL = 1_000_000 if "FULL" in os.environ else 12_800
SUBMITTERS = 64


class OrderContract(KeyedBase):
    """What it promises for each operation."""

    # -- order

    @pytest.mark.parametrize("keys", ["zipf", "hot"])
    def test_order_of_many_submitters(self, keys):
        """No operation is out of order, and none overlaps another."""
        each = FULL // SUBMITTERS
        begun = collections.defaultdict(list)
        inside = collections.Counter()
        overlaps = []

        def run(key, who, number):
            inside[key] += 1
            if inside[key] != 1:
                overlaps.append(key)
            begun[key, who].append(number)
            inside[key] -= 1

        def submit(who):
            chance = random.Random(who)
            for number in range(each):
                if keys == "zipf":
                    key = int(chance.paretovariate(1.0)) % 1000
                else:
                    key = int(chance.random() ** 4 * 10)
                keyed.submit(key, run, key, who, number)

        with (
            self.make(max_workers=4) as executor,
            KeyedExecutor(executor, max_pending=2000) as keyed,
        ):
            handles = [
                executor.runtime.spawn(
                    lambda who=who: submit(who), name=f"submitter-{who}"
                )
                for who in range(SUBMITTERS)
            ]
            for handle in handles:
                handle.join()
            keyed.drain()
            assert keyed.stats().succeeded == each * SUBMITTERS
        assert not overlaps
        assert sum(map(len, begun.values())) == each * SUBMITTERS
        assert all(numbers == sorted(numbers) for numbers in begun.values())

    def test_what_fails_does_not_hold_up_the_next(self, keyed):
        """Whatever it raises, or if it is cancelled."""
        ran = []

        def fail(error):
            ran.append(error)
            raise error

        futures = [
            keyed.submit("k", fail, error)
            for error in (ValueError, SystemExit, GeneratorExit)
        ]
        last = keyed.submit("k", ran.append, "last")
        last.result(LIMIT)
        assert ran == [ValueError, SystemExit, GeneratorExit, "last"]
        for future, error in zip(futures, ran, strict=False):
            assert isinstance(future.exception(LIMIT), error)
        keyed.drain(timeout=LIMIT)
        assert keyed.stats().failed == 3

    def test_a_long_queue_takes_no_stack(self, executor):
        """However many are queued on one key, one after the other."""
        with KeyedExecutor(
            executor, max_pending=30_000, max_pending_per_key=30_000
        ) as keyed:
            count = itertools.count()
            keyed.quarantine("other", "unused")  # the long way too
            gate = Gate(executor, LIMIT)
            if self.parallel:
                keyed.submit("k", gate.hold)
                gate.arrived(1)
            futures = [keyed.submit("k", next, count) for _ in range(20_000)]
            gate.open()
            assert [f.result(LIMIT) for f in futures] == list(range(20_000))

    def test_unordered(self, keyed, gate):
        """Those without a key, and those that bypass, wait for nobody."""
        held = self.hold(keyed, gate)
        assert keyed.submit(None, int).result(LIMIT) == 0
        assert keyed.enqueue("k", int, mode="bypass").result(LIMIT) == 0
        assert not held.done()
        assert keyed.pending("k") == 1

    def test_shared_run_together(self, keyed, gate):
        """And not beside an exclusive one that came before or after."""
        self.hold(keyed, gate, mode="shared")
        assert keyed.enqueue("k", int, mode="shared").result(LIMIT) == 0
        exclusive = keyed.submit("k", int)
        later = keyed.enqueue("k", int, mode="shared")
        assert not exclusive.done()
        gate.open()
        assert later.result(LIMIT) == 0
        assert exclusive.done()

    def test_the_oldest_goes_first(self):
        """Whatever its key, and however long that had to wait."""
        if not self.parallel:
            pytest.skip("nothing waits")
        with (
            self.make(max_workers=1) as executor,
            KeyedExecutor(executor) as keyed,
        ):
            gate = Gate(executor, LIMIT)
            ran = []
            keyed.submit("a", gate.hold)
            gate.arrived(1)
            for key in "abacab":
                keyed.submit(key, ran.append, key)
            gate.open()
            keyed.drain(timeout=LIMIT)
            # What got its turn late keeps its place.
            assert "".join(ran) == "abacab"

    @pytest.mark.parametrize("keys", [2, 5, 50])
    def test_the_oldest_of_many_goes_first(self, keys):
        """One worker runs all in the order in which they came."""
        if not self.parallel:
            pytest.skip("nothing waits")
        with (
            self.make(max_workers=1) as executor,
            KeyedExecutor(executor) as keyed,
        ):
            gate = Gate(executor, LIMIT)
            chance = random.Random(keys)
            ran = []
            keyed.submit(0, gate.hold)
            gate.arrived(1)
            for number in range(150):
                keyed.submit(chance.randrange(keys), ran.append, number)
            gate.open()
            keyed.drain(timeout=LIMIT)
            assert ran == sorted(ran)

    # -- bounds

    def test_bounds_reject(self, executor, gate):
        """The bound of the key is looked at first."""
        with KeyedExecutor(
            executor, max_pending=2, max_pending_per_key=1, on_full="reject"
        ) as keyed:
            self.hold(keyed, gate)
            with pytest.raises(KeySaturated) as caught:
                keyed.submit("k", forbidden)
            assert (caught.value.key, caught.value.bound) == ("k", 1)
            self.hold(keyed, gate, "other")
            with pytest.raises(KeySaturated):
                keyed.submit("k", forbidden)
            for key in ("third", None):
                with pytest.raises(ExecutorSaturated) as all_full:
                    keyed.submit(key, forbidden)
                assert not isinstance(all_full.value, KeySaturated)
            gate.open()
            keyed.drain(timeout=LIMIT)
            assert keyed.submit("k", int).result(LIMIT) == 0
            assert keyed.stats().rejected == 4

    def test_caller_runs(self, executor, gate):
        """In its turn, in the caller's thread."""
        ident = executor.runtime.ident
        with KeyedExecutor(
            executor,
            max_pending=1,
            max_pending_per_key=1,
            on_full=lambda stats: "caller_runs",
        ) as keyed:
            first = self.hold(keyed, gate)
            done = []
            caller = executor.runtime.spawn(
                lambda: done.append(
                    (keyed.submit("k", ident).result(), ident())
                ),
                name="caller",
            )
            until(lambda: keyed.pending("k") == 2)
            assert not done
            gate.open()
            caller.join(LIMIT)
            assert first.done()
            assert done[0][0] == done[0][1]
            keyed.drain(timeout=LIMIT)
            assert keyed.stats().caller_runs == 1

    @pytest.mark.parametrize("policy", ["block", "caller_runs"])
    def test_no_operation_waits_for_its_own_key(self, executor, policy):
        """At the bound its submit is refused, whatever the policy."""
        with KeyedExecutor(
            executor, max_pending_per_key=1, on_full=policy
        ) as keyed:
            future = keyed.submit("k", lambda: keyed.submit("k", forbidden))
            assert isinstance(future.exception(LIMIT), KeySaturated)

    # -- waiting

    def test_waiting_for_its_own_key(self, keyed):
        """It would never end, and says so."""

        def ask():
            return keyed.submit("k", int).result()

        asked = keyed.submit("k", ask)
        assert isinstance(asked.exception(LIMIT), DeadlockError)
        drained = keyed.submit("k", lambda: keyed.drain("k"))
        assert isinstance(drained.exception(LIMIT), DeadlockError)

    def test_waiting_for_another_key(self):
        """A worker that waits helps, in order."""
        with (
            self.make(max_workers=1) as executor,
            KeyedExecutor(executor) as keyed,
        ):
            ran = []

            def ask():
                for number in range(3):
                    last = keyed.submit("b", ran.append, number)
                last.result()
                keyed.drain("b")
                return list(ran)

            assert keyed.submit("a", ask).result(LIMIT) == [0, 1, 2]

    def test_drain(self, keyed, gate):
        """It waits for what there is, in time or not."""
        keyed.drain("k")
        self.hold(keyed, gate)
        queued = keyed.submit("k", int)
        keyed.drain("other")
        for key in ("k", None):
            with pytest.raises(TimeoutError):
                keyed.drain(key, timeout=0.01)
        gate.open()
        keyed.drain("k", timeout=LIMIT)
        assert queued.done()
        assert not keyed._turns.drains

    # -- what is queued

    def test_cancel(self, keyed, gate):
        """What is queued, one by one or all of a key."""
        self.hold(keyed, gate)
        other = keyed.submit("other", int)
        futures = [keyed.submit("k", forbidden) for _ in range(3)]
        assert futures[1].cancel()
        assert keyed.pending("k") == 3
        assert keyed.cancel_pending("k") == 2
        assert all(future.cancelled() for future in futures)
        assert other.result(LIMIT) == 0
        assert keyed.cancel_pending() == 0
        assert keyed.stats().cancelled == 3

    def test_completed_by_hand(self, keyed, gate):
        """One that is queued gives way to the next."""
        self.hold(keyed, gate)
        by_hand = keyed.submit("k", forbidden)
        last = keyed.submit("k", int)
        by_hand.set_result("by hand")
        gate.open()
        assert (by_hand.result(LIMIT), last.result(LIMIT)) == ("by hand", 0)

    def test_expiry(self, keyed, gate):
        """Whose turn comes too late never runs."""
        self.hold(keyed, gate)
        late = keyed.enqueue("k", forbidden, time_to_live=0)
        now = keyed.runtime.monotonic()
        later = keyed.enqueue("k", forbidden, time_to_live=60, deadline=now)
        in_time = keyed.enqueue("k", int, time_to_live=60)
        while keyed.runtime.monotonic() <= now:
            keyed.runtime.sleep(0.001)
        gate.open()
        assert in_time.result(LIMIT) == 0
        for future in (late, later):
            error = future.exception(LIMIT)
            assert isinstance(error, Expired)
            assert error.key == "k"
        assert keyed.stats().expired == 2

    def test_expired_ones_make_room(self, executor, gate):
        """A key is not full of what will never run."""
        with KeyedExecutor(
            executor, max_pending_per_key=2, on_full="reject"
        ) as keyed:
            self.hold(keyed, gate)
            late = keyed.enqueue("k", forbidden, time_to_live=-1)
            fine = keyed.submit("k", int)
            assert isinstance(late.exception(LIMIT), Expired)
            gate.open()
            assert fine.result(LIMIT) == 0

    def test_supersede(self, keyed, gate):
        """Those with the same tag that have not begun give way, quietly."""
        self.hold(keyed, gate, tag="t")
        with log_of("parallelops") as records:
            old = keyed.enqueue("k", forbidden, tag="t")
            other = keyed.enqueue("k", int, tag="u")
            new = keyed.enqueue("k", int, tag="t", supersede=True)
            assert old.done()
            del old
            gc.collect()
        assert not records
        gate.open()
        assert (other.result(LIMIT), new.result(LIMIT)) == (0, 0)
        assert keyed.stats().superseded == 1

    def test_superseded_says_so(self, keyed, gate):
        """Whoever waits for it is told by what."""
        self.hold(keyed, gate)
        old = keyed.enqueue("k", forbidden, tag="t")
        keyed.enqueue("k", int, tag="t", supersede=True)
        with pytest.raises(Superseded, match="'t'") as caught:
            old.result(LIMIT)
        assert (caught.value.key, caught.value.tag) == ("k", "t")

    def test_dedupe(self, keyed, gate):
        """The same queued operation for all who ask."""
        running = self.hold(keyed, gate, tag="t")
        one = keyed.enqueue("k", int, tag="t", dedupe=True)
        two = keyed.enqueue("k", forbidden, tag="t", dedupe=True)
        assert one is two
        assert one is not running
        assert keyed.stats().deduplicated == 1

    @pytest.mark.parametrize(
        "how",
        [
            {"mode": "other"},
            {"supersede": True},
            {"dedupe": True, "supersede": True, "tag": 1},
            {"dedupe": True, "mode": "bypass", "tag": 1},
        ],
    )
    def test_what_does_not_go_together(self, keyed, how):
        """It is refused before anything happens."""
        with pytest.raises(ValueError):
            keyed.enqueue("k", forbidden, **how)
