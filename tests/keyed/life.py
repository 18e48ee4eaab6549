"""Holding keys, the end, and what futures do, whatever it runs on."""

from __future__ import annotations

import collections
import concurrent.futures
import contextvars
import gc
import itertools
import signal
import weakref

import pytest
from tests.keyed.base import LIMIT, KeyedBase, forbidden
from tests.polling import until

from parallelops import (
    ExecutorShutdown,
    KeyedExecutor,
    KeyQuarantined,
    ShutdownTimeout,
)
from parallelops.testing.contract.base import Gate, log_of


class LifeContract(KeyedBase):
    """What it does around its operations."""

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

            def logged():
                gc.collect()
                return records

            until(logged)
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
        until(lambda: len(ran) == 15)
        keyed.drain(timeout=LIMIT)

    def test_submit_in_a_signal_handler_and_a_finalizer(self, executor):
        """Wherever they come, and be it in the midst of a submit."""
        with KeyedExecutor(
            executor, max_pending=1_000_000, max_pending_per_key=1_000_000
        ) as keyed:
            ran = collections.Counter()
            # Lists: a handler that comes in the midst of a sum spoils it.
            sent = {what: [] for what in ("main", "handler", "finalizer")}
            sent["used"] = []

            def send(what, key):
                sent[what].append(what)
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
                while len(sent["main"]) < 500 or (
                    self.takes_signals and len(sent["handler"]) < 100
                ):
                    send("main", "k")
                    keyed.submit("k", Dying().use)
                    sent["used"].append("used")
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)

            def all_ran():
                gc.collect()
                everything = itertools.chain.from_iterable(sent.values())
                return ran == collections.Counter(everything) and len(
                    sent["finalizer"]
                ) == len(sent["used"])

            until(all_ran)
