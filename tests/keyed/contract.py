"""What a keyed executor does, whatever it runs on."""

from __future__ import annotations

import collections
import concurrent.futures
import contextvars
import gc
import itertools
import os
import random
import signal
import weakref

import pytest

from parallelops import (
    DeadlockError,
    ExecutorSaturated,
    ExecutorShutdown,
    Expired,
    KeyedExecutor,
    KeyQuarantined,
    KeySaturated,
    ShutdownTimeout,
    Superseded,
)
from parallelops.testing.contract.base import Gate, log_of

LIMIT = 20
# How many operations the order is tried with; a million takes minutes.
FULL = 1_000_000 if "FULL" in os.environ else 12_800
SUBMITTERS = 64


def forbidden():
    """What must never run."""
    raise AssertionError("it ran")


class KeyedContract:
    """Tests for a backend; implement ``make(**options)``."""

    parallel = True
    # A reentrant lock of green threads may block who interrupts its taking.
    takes_signals = True

    def make(self, **options):
        """A new executor."""
        raise NotImplementedError

    @pytest.fixture
    def executor(self):
        """One with few workers."""
        with self.make(max_workers=2) as executor:
            yield executor

    @pytest.fixture
    def keyed(self, executor):
        """The thing itself; nothing is left in it afterwards."""
        with KeyedExecutor(executor) as keyed:
            yield keyed
        turns = keyed._turns
        assert not turns.entries
        assert not turns.loose
        assert len(turns.room) == turns.max_pending

    @pytest.fixture
    def gate(self, executor):
        """Holds operations; opened at the end."""
        gate = Gate(executor, LIMIT)
        yield gate
        gate.open()

    def hold(self, keyed, gate, key="k", **how):
        """Keep a key busy."""
        if not self.parallel:
            pytest.skip("it is done before submit returns")
        future = keyed.enqueue(key, gate.hold, **how)
        gate.arrived(1)
        return future

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
            while keyed.pending("k") < 2:
                executor.runtime.sleep(0.001)
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

    # -- quarantine

    def test_quarantine(self, keyed, gate):
        """What runs goes on, what is queued waits, what comes is refused."""
        running = self.hold(keyed, gate)
        queued = [keyed.submit("k", int) for _ in range(2)]
        keyed.quarantine("k", "lost contact")
        with pytest.raises(KeyQuarantined, match="lost contact") as caught:
            keyed.submit("k", forbidden)
        assert caught.value.key == "k"
        assert keyed.enqueue("k", int, mode="bypass").result(LIMIT) == 0
        gate.open()
        running.result(LIMIT)
        keyed.drain("k", timeout=LIMIT)
        keyed.drain(timeout=LIMIT)
        assert not any(future.done() for future in queued)
        assert keyed.stats().quarantined == 1
        keyed.release("k")
        assert [future.result(LIMIT) for future in queued] == [0, 0]

    def test_shutdown_frees_what_is_held(self, executor, gate):
        """Nobody will release it any more."""
        keyed = KeyedExecutor(executor)
        self.hold(keyed, gate)
        queued = keyed.submit("k", forbidden)
        keyed.quarantine("k", "why")
        keyed.shutdown(wait=False)
        assert isinstance(queued.exception(LIMIT), KeyQuarantined)

    # -- the end

    def test_shutdown(self, executor, gate):
        """It takes nothing new; the executor goes on."""
        keyed = KeyedExecutor(executor)
        self.hold(keyed, gate)
        queued = keyed.submit("k", forbidden)
        with pytest.raises(ShutdownTimeout):
            keyed.shutdown(cancel_futures=True, timeout=0.01)
        assert queued.cancelled()
        with pytest.raises(ExecutorShutdown):
            keyed.submit("k", forbidden)
        gate.open()
        keyed.shutdown()
        assert executor.submit(int).result(LIMIT) == 0

    def test_a_shut_down_executor_refuses(self):
        """What was accepted is done; submit says what the executor said."""
        executor = self.make(max_workers=1)
        gate = Gate(executor, LIMIT)
        keyed = KeyedExecutor(executor)
        queued = []
        if self.parallel:
            keyed.submit("k", gate.hold)
            gate.arrived(1)
            queued = [keyed.submit("k", int) for _ in range(3)]
        executor.shutdown(wait=False)
        with pytest.raises(ExecutorShutdown):
            keyed.submit("idle", forbidden)
        gate.open()
        assert [future.result(LIMIT) for future in queued] == [0] * len(queued)
        keyed.shutdown()
        executor.shutdown()

    def test_shutdown_in_an_operation(self, executor):
        """It does not wait for itself."""
        keyed = KeyedExecutor(executor)
        keyed.submit("k", keyed.shutdown).result(LIMIT)
        keyed.shutdown()

    # -- the strand

    def test_strand(self, keyed):
        """A real executor, for one key."""
        strand = keyed.strand("k")
        assert isinstance(strand, concurrent.futures.Executor)
        assert list(strand.map(abs, [-1, -2, -3])) == [1, 2, 3]
        futures = [strand.submit(abs, -n) for n in range(3)]
        assert not concurrent.futures.wait(futures, LIMIT).not_done
        assert strand.stats().max_workers == 1
        strand.shutdown()
        with pytest.raises(ExecutorShutdown):
            strand.submit(forbidden)
        assert keyed.submit("k", int).result(LIMIT) == 0

    def test_a_strand_counts_its_own(self, keyed, gate):
        """And cancels its own."""
        self.hold(keyed, gate)
        strand = keyed.strand("k")
        queued = strand.submit(forbidden)
        assert (strand.stats().running, strand.stats().queued) == (1, 1)
        with pytest.raises(ShutdownTimeout):
            strand.shutdown(cancel_futures=True, timeout=0.01)
        assert queued.cancelled()

    # -- what any future of ours does

    def test_context_variables_go_along(self, keyed):
        """As they were when it was submitted."""
        variable = contextvars.ContextVar("variable", default=0)
        variable.set(1)
        future = keyed.submit("k", variable.get)
        variable.set(2)
        assert future.result(LIMIT) == 1

    def test_a_failure_that_nobody_saw_is_logged(self, keyed):
        """When its future dies."""
        with log_of("parallelops.unseen") as records:
            keyed.submit("k", forbidden)
            keyed.drain(timeout=LIMIT)
            while not records:
                gc.collect()
                keyed.runtime.sleep(0.001)
        assert "forbidden" in records[0].getMessage()

    def test_a_failed_frame_is_freed(self, keyed):
        """Without the garbage collector, when its future is gone."""
        if not self.parallel:
            pytest.skip("it is run inside submit, whose frames hold it")

        class Held:
            pass

        def fail(held):
            raise LookupError

        gc.collect()
        gc.disable()
        try:
            held = Held()
            gone = weakref.ref(held)
            future = keyed.submit("k", fail, held)
            assert isinstance(future.exception(LIMIT), LookupError)
            del held, future
            # A worker lets go of its last task when it takes another.
            while gone() is not None:
                keyed.submit("k", int).result(LIMIT)
                keyed.executor.submit(int).result(LIMIT)
        finally:
            gc.enable()

    def test_submit_in_a_done_callback_and_in_an_operation(self, keyed):
        """Of the same key and of another."""
        ran = []

        def run(depth):
            ran.append(depth)
            if depth:
                for key in "kl":
                    keyed.submit(key, run, depth - 1)

        future = keyed.submit("k", int)
        future.add_done_callback(lambda _: keyed.submit("k", run, 3))
        keyed.drain(timeout=LIMIT)
        while len(ran) < 15:
            keyed.runtime.sleep(0.001)
            keyed.drain(timeout=LIMIT)
        assert len(ran) == 15

    def test_submit_in_a_signal_handler_and_a_finalizer(self, executor):
        """Wherever they come, and be it in the midst of a submit."""
        with KeyedExecutor(
            executor, max_pending=1_000_000, max_pending_per_key=1_000_000
        ) as keyed:
            ran, sent = collections.Counter(), collections.Counter()

            def send(what, key):
                sent[what] += 1
                keyed.submit(key, ran.update, [what])

            class Dying:
                def __del__(self):
                    send("finalizer", "k")

                def use(self):
                    ran["used"] += 1

            def handle(*_):
                send("handler", "k")
                send("handler", None)

            before = signal.signal(signal.SIGALRM, handle)
            if self.takes_signals:
                signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
            try:
                while sent["main"] < 500 or (
                    self.takes_signals and sent["handler"] < 100
                ):
                    send("main", "k")
                    keyed.submit("k", Dying().use)
                    sent["used"] += 1
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)
            while ran != sent or sent["finalizer"] < sent["used"]:
                keyed.drain(timeout=LIMIT)
                keyed.runtime.sleep(0.001)
                gc.collect()
