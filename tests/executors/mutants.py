"""Bugs that a tired engineer could make in the pool, one a mutant.

Each is a substitution in the source. A text that is not there exactly once
is an error, so that nobody disarms a mutant by changing the code.
"""

from __future__ import annotations

import dataclasses
import pathlib


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One real bug: ``new`` where ``old`` was.

    Attributes:
        name: what is wrong.
        path: the file, in the package.
        old: text that is there once.
        new: what stands there in the mutant.
    """

    name: str
    path: str
    old: str
    new: str

    def apply(self, package: pathlib.Path) -> None:
        """Put the bug into a copy of the package."""
        path = package / self.path
        text = path.read_text()
        found = text.count(self.old)
        assert found == 1, f"{self.name}: {found} times in {self.path}"
        path.write_text(text.replace(self.old, self.new))


MUTANTS = (
    # -- the meetings
    Mutant(
        "submit does not wake who is idle",
        "backends/base.py",
        "if pool.idle:",
        "if False:",
    ),
    Mutant(
        "submit does not look whether it was closed meanwhile",
        "backends/base.py",
        "            if pool.closed:\n                raise pool.refuse()\n",
        "",
    ),
    Mutant(
        "what submit refused runs all the same",
        "backends/base.py",
        "if pool.take_back(future) or not",
        "if True or not",
    ),
    Mutant(
        "who stands in line does not try again",
        "backends/admission.py",
        "                try:\n                    self.slots.take()\n",
        "                try:\n                    raise IndexError\n",
    ),
    Mutant(
        "who gives a slot back does not look at the line",
        "backends/worker.py",
        "if admission.line:",
        "if False:",
    ),
    Mutant(
        "shutdown does not wake the line",
        "backends/pool.py",
        "        self._wake_all()\n        self.admission.call_all()\n",
        "        self._wake_all()\n",
    ),
    Mutant(
        "shutdown does not wake the workers",
        "backends/pool.py",
        "        self._wake_all()\n        self.admission.call_all()\n",
        "        self.admission.call_all()\n",
    ),
    # -- slots and seats
    Mutant(
        "a failed task keeps its slot",
        "backends/worker.py",
        "            admission.slots.give(0)\n",
        "            if succeeded:\n                admission.slots.give(0)\n",
    ),
    Mutant(
        "a slot comes back after the result",
        "backends/worker.py",
        "            admission.slots.give(0)\n"
        "            if admission.line:\n"
        "                admission.call_next()\n"
        "            future.publish()\n",
        "            future.publish()\n"
        "            admission.slots.give(0)\n"
        "            if admission.line:\n"
        "                admission.call_next()\n",
    ),
    Mutant(
        "a helped task keeps its slot",
        "backends/pool.py",
        "            party.failed += 1\n        self.released(future)\n",
        "            party.failed += 1\n",
    ),
    Mutant(
        "a cancelled task keeps its slot",
        "backends/pool.py",
        "            pass  # a worker has it in hand, and will see\n"
        "        self.admission.give_back()\n",
        "            pass\n",
    ),
    Mutant(
        "the bound is one too many",
        "backends/admission.py",
        "else max_workers + max_queue",
        "else max_workers + max_queue + 1",
    ),
    Mutant(
        "there is one worker too many",
        "backends/pool.py",
        "self.seats = Slots(options.max_workers, self.lock)",
        "self.seats = Slots(options.max_workers + 1, self.lock)",
    ),
    Mutant(
        "a smaller size is ignored",
        "backends/slots.py",
        "self.owed += 1",
        "pass",
    ),
    Mutant(
        "surplus workers stay as long as there is work",
        "backends/worker.py",
        "            future.publish()\n            if pool.seats.owed and",
        "            future.publish()\n            if False and",
    ),
    Mutant(
        "growing forgets what is still owed",
        "backends/slots.py",
        "forgiven = min(max(change, 0), self.owed)",
        "forgiven = 0",
    ),
    Mutant(
        "a larger size does not hire for what is queued",
        "backends/pool.py",
        "        for _ in range(min(len(self.ready), len(self.seats.left))):\n"
        "            self.hire()\n",
        "",
    ),
    Mutant(
        "a new size does not move the bound",
        "backends/pool.py",
        "            self.admission.resize(max_workers)\n",
        "",
    ),
    Mutant(
        "idle workers never leave",
        "backends/worker.py",
        "0 if came else pool.idle_timeout",
        "0 if came else -1",
    ),
    # -- policies
    Mutant(
        "what a callable policy answers is ignored",
        "backends/admission.py",
        "policy = policy(self._pool.stats())",
        "policy(self._pool.stats()); policy = 'caller_runs'",
    ),
    Mutant(
        "a task waits for its own room",
        "backends/admission.py",
        'policy == "block" and worker_here(pool) is not None',
        "False",
    ),
    Mutant(
        "saturation is not counted",
        "backends/admission.py",
        "        pool.count(policy)\n",
        "",
    ),
    # -- waiting
    Mutant(
        "nobody helps",
        "backends/pool.py",
        "if not isinstance(party, Worker) or party.pool is not self:",
        "if True:",
    ),
    Mutant(
        "a deadlock is not noticed",
        "waiting.py",
        "if not _is_stuck(party, could_end):",
        "if True:",
    ),
    Mutant(
        "a failure that may come is no hope",
        "watching.py",
        "return self._until_failure and not all(map(_cannot_fail, finished))",
        "return False",
    ),
    Mutant(
        "a failure that did not come is hoped for",
        "watching.py",
        "self._wary = self._until_failure",
        "self._wary = False",
    ),
    Mutant(
        "who has its failure goes on helping",
        "watching.py",
        "if self._is_over() or (end",
        "if (end",
    ),
    Mutant(
        "the first failure does not end a wait",
        "watching.py",
        "return self._failed or",
        "return",
    ),
    Mutant(
        "as_completed yields what is not done, and again when it is",
        "watching.py",
        "                    continue\n",
        "",
    ),
    Mutant(
        "a future ends while the standard wait looks at it",
        "futures.py",
        "return status if told or status not in DONE else _RUNNING",
        "return status",
    ),
    Mutant(
        "the standard wait does not know the cancelled state",
        "futures.py",
        "_std.CANCELLED_AND_NOTIFIED\n",
        "_std.CANCELLED\n",
    ),
    # -- cancelling
    Mutant(
        "a cancelled task stays in the queue",
        "backends/pool.py",
        "    def cancelled(self, future: Future[Any]) -> None:\n"
        "        self.released(future)\n",
        "    def cancelled(self, future: Future[Any]) -> None:\n"
        "        self.admission.give_back()\n",
    ),
    Mutant(
        "who waits is not told of cancelling at shutdown",
        "futures.py",
        "        if self._watched is not None:\n"
        "            self._announce()\n"
        "        if self.observed is not None:\n",
        "        if self.observed is not None:\n",
    ),
    Mutant(
        "shutdown does not cancel",
        "backends/base.py",
        "        if cancel_futures:\n",
        "        if False:\n",
    ),
    Mutant(
        "leaving a with block does not cancel",
        "executor.py",
        "cancel_futures=exc_type is not None",
        "cancel_futures=False",
    ),
    # -- failures
    Mutant(
        "SystemExit ends the worker",
        "futures.py",
        "except BaseException as failure:",
        "except Exception as failure:",
    ),
    Mutant(
        "SystemExit in a callback ends the worker",
        "futures.py",
        "        except BaseException:\n"
        '            _log.exception("done callback',
        '        except Exception:\n            _log.exception("done callback',
    ),
    Mutant(
        "SystemExit in an observer ends the worker",
        "backends/observed.py",
        "            except BaseException:\n",
        "            except Exception:\n",
    ),
    Mutant(
        "the traceback grows",
        "futures.py",
        "raise self._exception.with_traceback(unseen.traceback)",
        "raise self._exception",
    ),
    Mutant(
        "the frame of a failure holds itself",
        "futures.py",
        "            del self, fn, args, kwargs, context\n",
        "",
    ),
    Mutant(
        "a failure that nobody looks at is not logged",
        "unseen.py",
        "if not self.seen:",
        "if False:",
    ),
    Mutant(
        "a failure that somebody looked at is logged",
        "futures.py",
        "        unseen.seen = True\n",
        "",
    ),
    Mutant(
        "an initializer that fails is ignored",
        "backends/worker.py",
        "            pool.break_down(cause, self)\n",
        "            self._take_tasks()\n",
    ),
    Mutant(
        "describing a mock never ends",
        "naming.py",
        'while hasattr(type(fn), "func"):',
        'while hasattr(fn, "func"):',
    ),
    # -- the end
    Mutant(
        "shutdown does not wait",
        "backends/base.py",
        "        if wait:\n",
        "        if False:\n",
    ),
    Mutant(
        "shutdown in a task waits for itself",
        "backends/pool.py",
        "        if worker_here(self) is not None:\n            return\n",
        "",
    ),
    Mutant(
        "a shutdown that runs out of time says nothing",
        "backends/pool.py",
        "            if handle.is_alive():\n"
        "                raise ShutdownTimeout(self.name, self.at_work())\n",
        "",
    ),
    Mutant(
        "a dropped executor keeps its workers",
        "backends/base.py",
        '            pool.close("its executor was dropped")\n',
        "            pass\n",
    ),
    Mutant(
        "a parked worker keeps its last task",
        "backends/worker.py",
        "                future = self.task = None\n",
        "                self.task = None\n",
    ),
    # -- calls
    Mutant(
        "context variables stay behind",
        "backends/base.py",
        "_copy_context = contextvars.copy_context",
        "_copy_context = contextvars.Context",
    ),
    Mutant(
        "the last comes first",
        "backends/worker.py",
        "take = ready.popleft",
        "take = ready.pop",
    ),
    Mutant(
        "map reads all of its input",
        "executor.py",
        "map(start, itertools.islice(parts, buffersize))",
        "map(start, parts)",
    ),
    Mutant(
        "map holds what it yielded",
        "executor.py",
        "            yield ahead.popleft().result()\n",
        "            result = ahead.popleft().result()\n"
        "            yield result\n",
    ),
    Mutant(
        "map does not cancel the rest",
        "executor.py",
        "            future.cancel()\n",
        "            pass\n",
    ),
    Mutant(
        "wrap is ignored",
        "backends/base.py",
        "fn = pool.wrap(fn)",
        "pool.wrap(fn)",
    ),
    Mutant(
        "fair is ignored",
        "backends/pool.py",
        "            if options.fair\n",
        "            if False\n",
    ),
    # -- telling
    Mutant(
        "successes are counted twice",
        "backends/worker.py",
        "self.succeeded += 1",
        "self.succeeded += 2",
    ),
    Mutant(
        "what a worker did is forgotten when it leaves",
        "backends/pool.py",
        '            self._counts["succeeded"] += worker.succeeded\n',
        "",
    ),
    Mutant(
        "what the caller ran is not counted",
        "backends/pool.py",
        '        self.count("succeeded" if succeeded else "failed")\n',
        "",
    ),
    Mutant(
        "a failure is told as a success",
        "backends/observed.py",
        'outcome = "failed"',
        'outcome = "succeeded"',
    ),
    Mutant(
        "cancelling is not told",
        "backends/pool.py",
        "            future.observed.cancelled()\n",
        "            pass\n",
    ),
)
