"""Exploring catches races that tests on real threads may miss.

Each bug is put into a copy of the library, and a scenario is explored there.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from tests.executors.mutants import Mutant

import parallelops

pytestmark = pytest.mark.once

PACKAGE = pathlib.Path(parallelops.__file__).parent
HERE = pathlib.Path(__file__).parent
# The first that fails ends it. Some scenarios run a part of so many.
SCHEDULES = "1000"

RUN_PYTEST = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""

BUGS = {
    "pool::test_submit_and_result": [
        Mutant(
            "a worker parks without a last look at the queue",
            "backends/worker.py",
            "came = pool.ready or pool.lets_go()",
            "came = pool.lets_go()",
        ),
        Mutant(
            "who waits for a result does not look once more",
            "futures.py",
            "        if self._status in DONE:\n"
            "            return\n"
            "        try:",
            "        try:",
        ),
        Mutant(
            "who finishes looks for watchers first",
            "futures.py",
            "        self._status = FINISHED\n"
            "        if self._watched is not None:\n"
            "            self._announce()\n\n"
            "    def replace",
            "        watched = self._watched\n"
            "        self._status = FINISHED\n"
            "        if watched is not None:\n"
            "            self._announce()\n\n"
            "    def replace",
        ),
    ],
    "pool::test_idle_workers_retire": [
        Mutant(
            "a worker leaves without a last look at the queue",
            "backends/pool.py",
            "        if self.ready:\n            try:\n",
            "        if False:\n            try:\n",
        ),
    ],
    "pool::test_submit_races_shutdown": [
        Mutant(
            "submit does not look whether it was closed meanwhile",
            "backends/base.py",
            "            if pool.closed:\n"
            "                raise pool.refuse()\n",
            "",
        ),
    ],
    "pool::test_blocked_submits": [
        Mutant(
            "who gives a slot back does not look at the line",
            "backends/worker.py",
            "if admission.line:",
            "if False:",
        ),
        Mutant(
            "who stands in line tries before it is seen there",
            "backends/admission.py",
            "                join(permit)\n"
            "                # Look only now: who gives a slot back from here "
            "on sees us.\n"
            "                if pool.closed:\n"
            "                    raise pool.refuse()\n"
            "                try:\n"
            "                    self.slots.take()\n"
            "                except IndexError:\n"
            "                    pass\n",
            "                if pool.closed:\n"
            "                    raise pool.refuse()\n"
            "                try:\n"
            "                    self.slots.take()\n"
            "                except IndexError:\n"
            "                    join(permit)\n",
        ),
    ],
    "pool::test_cancel_races_run": [
        Mutant(
            "the claim on a call is not one step",
            "futures.py",
            "            fn, args, kwargs, context = self._call.pop()\n",
            "            fn, args, kwargs, context = self._call[0]\n"
            "            self._call.clear()\n",
        ),
    ],
    "ratelimit::test_rate": [
        Mutant(
            "who need not wait passes without the lock",
            "ratelimit/bucket.py",
            "        with self._lock:\n"
            "            now = self._count()\n"
            "            if (\n",
            "        if True:\n"
            "            now = self._count()\n"
            "            if (\n",
        ),
    ],
    "ratelimit::test_line": [
        Mutant(
            "a place is handed out without the lock",
            "ratelimit/bucket.py",
            "        with self._lock:\n"
            "            now = self._count()\n"
            "            # Those whose",
            "        if True:\n"
            "            now = self._count()\n"
            "            # Those whose",
        ),
    ],
    "ratelimit::test_late": [
        Mutant(
            "who passes does so without the lock",
            "ratelimit/bucket.py",
            "        with self._lock:\n"
            "            place = reservation.place\n",
            "        if True:\n            place = reservation.place\n",
        ),
        Mutant(
            "who looked at the bucket takes from it later",
            "ratelimit/bucket.py",
            "            reservation.place = None\n"
            "            self._tokens -= 1\n",
            "            reservation.place = None\n"
            "            tokens = self._tokens\n"
            "            self._lock.release()\n"
            "            self._lock.acquire()\n"
            "            self._tokens = tokens - 1\n",
        ),
    ],
    "ratelimit::test_in_flight": [
        Mutant(
            "a call that ends tells nobody",
            "ratelimit/adaptive.py",
            "        self._ended.notify()\n",
            "",
        ),
        Mutant(
            "room is looked for first, and taken later",
            "ratelimit/adaptive.py",
            "            self._in_flight += 1\n",
            "        with self._ended:\n            self._in_flight += 1\n",
        ),
    ],
    "ratelimit::test_refusals_at_once": [
        Mutant(
            "each of many refusals cuts the rate",
            "ratelimit/adaptive.py",
            "        if call.epoch != self._epoch:\n            if wanted",
            "        if False:\n            if wanted",
        ),
    ],
    "ratelimit::test_one_end": [
        Mutant(
            "whether a call has ended is looked at without the lock",
            "ratelimit/adaptive.py",
            "        with self._ended:\n"
            "            if call.ended:\n"
            "                return\n",
            "        if call.ended:\n"
            "            return\n"
            "        with self._ended:\n",
        ),
    ],
    "deadlocks::test_room_that_never_comes": [
        Mutant(
            "idle workers are taken for hope that room will come",
            "backends/admission.py",
            "waiting.wait_for(party, permit, self._could_have_room)",
            "waiting.wait_for(party, permit, lambda stuck: "
            "waiting.can_start(pool, stuck))",
        ),
    ],
    "deadlocks::test_shrink_closes_a_circle": [
        Mutant(
            "nobody looks again when a worker is let go",
            "backends/pool.py",
            "        waiting.look_again()\n",
            "",
        ),
    ],
    "scrubber::test_hung_delete": [
        Mutant(
            "a hung image may be tried again while it hangs",
            "images/overdue.py",
            "self.hung[job.task.image.id] = (future, lane.key)",
            "pass",
        ),
    ],
    "scrubber::test_two_scrubbers": [
        Mutant(
            "what somebody has is claimed once more",
            "testing/fakes.py",
            "if not (image.is_free(now) and due):",
            "if not due:",
        ),
        Mutant(
            "images are deleted from although they were refused",
            "images/scheduler.py",
            "            self._lanes.refused(image_id)\n",
            "            pass\n",
        ),
    ],
    "scrubber::test_restore_races_a_scrub": [
        Mutant(
            "an image is deleted from without a claim",
            "testing/fakes.py",
            "image.claim, image.leased_until = image.fence, until",
            "image.claim, image.leased_until = 0, until",
        ),
        Mutant(
            "a delete that may have happened leaves no doubt",
            "images/recorder.py",
            "doubtful=[e.result.location.id for e in ready if e.doubtful],",
            "doubtful=[],",
        ),
    ],
    "scrubber::test_stopped_past_its_lease": [
        Mutant(
            "whoever takes over trusts the one before",
            "testing/fakes.py",
            "                if image.claim:\n",
            "                if False:\n",
        ),
        Mutant(
            "late writes are taken",
            "testing/fakes.py",
            "                if kept.claim != image.token:\n"
            "                    lost.add(image.id)\n",
            "                if False:\n"
            "                    lost.add(image.id)\n",
        ),
    ],
    "scrubber::test_catalogue_that_fails": [
        Mutant(
            "results are reported before they are recorded",
            "images/recorder.py",
            "        settled = self._catalog.settle(\n",
            "        self.results += [entry.result for entry in ready]\n"
            "        settled = self._catalog.settle(\n",
        ),
    ],
    "keyed::test_quarantine_races_the_turn": [
        Mutant(
            "a turn that is taken back can be used all the same",
            "keyed/operation.py",
            "        self.state = QUEUED\n        self._call = [call]\n",
            "        calls.append(call)\n        self.state = QUEUED\n",
        ),
        Mutant(
            "a submit does not look whether its key is held meanwhile",
            "keyed/executor.py",
            "            if turns.wary:\n",
            "            if False:\n",
        ),
    ],
    "keyed_ends::test_block": [
        Mutant(
            "who waits for room does not look once more",
            "keyed/entries.py",
            "            self.blocked.append(blocked)\n"
            "        self.let_in()\n",
            "            self.blocked.append(blocked)\n",
        ),
        Mutant(
            "who leaves does not look for those who wait for room",
            "keyed/serving.py",
            "if self.drains or self.blocked or self._put_off:",
            "if self.drains or self._put_off:",
        ),
    ],
    "keyed_ends::test_broken_executor": [
        Mutant(
            "a worker that is about to die counts as one that will come",
            "backends/intake.py",
            "if pool.closed and worker_here(pool) not in pool.workers:",
            "if pool.closed and not self.inside():",
        ),
    ],
    "keyed_ends::test_executor_shutdown_races": [
        Mutant(
            "a ticket is left in the queue of a pool that was closed",
            "backends/intake.py",
            "if pool.closed and worker_here(pool) not in pool.workers:",
            "if False:",
        ),
    ],
    "keyed::test_shared_and_exclusive": [
        Mutant(
            "the first shared one to end passes the turn of all",
            "keyed/executor.py",
            'operation.plain = ordered and mode == "exclusive" and ',
            "operation.plain = ordered and ",
        ),
        Mutant(
            "a shared one joins whoever has the turn",
            "keyed/line.py",
            "not (operation.shared and self._is_shared())",
            "not operation.shared",
        ),
    ],
    "keyed_turns::test_the_next_is_older_than_others": [
        Mutant(
            "the next of a key goes to the end of the queue, however old",
            "backends/intake.py",
            "if last._owner is book and last.arrival < arrival:",
            "if last._owner is book:",
        ),
        Mutant(
            "the next of a key goes to the front, however young",
            "backends/intake.py",
            "if first._owner is book and arrival < first.arrival:",
            "if True:",
        ),
        Mutant(
            "who takes an operation does not look for older ones",
            "keyed/operation.py",
            "and self.plain and not turns.late:",
            "and self.plain:",
        ),
    ],
    "keyed_turns::test_the_next_is_younger_than_others": [
        Mutant(
            "who inserts does not look whether another one did meanwhile",
            "backends/intake.py",
            "return ready[-2] is last",
            "return True",
        ),
    ],
    "keyed_turns::test_quarantine_races_the_beginning": [
        Mutant(
            "who begins one looks at its call after its turn",
            "keyed/operation.py",
            "                call = calls.pop()\n",
            "                call = self._call.pop()\n",
        ),
    ],
    "keyed_turns::test_the_next_races_other_tasks": [
        Mutant(
            "a ticket can be taken before what it is for is there",
            "keyed/serving.py",
            "            self.put_late(after)\n"
            "            self.intake.leave_ticket()\n",
            "            self.intake.leave_ticket()\n"
            "            self.put_late(after)\n",
        ),
    ],
    "keyed_turns::test_the_next_does_not_wait_for_a_callback": [
        Mutant(
            "nobody is woken for the next while a callback is called",
            "keyed/operation.py",
            "turns.finish(self, succeeded, goes_on=not calls_back)",
            "turns.finish(self, succeeded, goes_on=True)",
        ),
    ],
    "keyed_ends::test_drain": [
        Mutant(
            "an operation that ends does not look for those who wait for it",
            "keyed/serving.py",
            "if self.drains or self.blocked or self._put_off:",
            "if self.blocked or self._put_off:",
        ),
    ],
    "containers::test_group_commit": [
        Mutant(
            "who has committed does not look who waits",
            "containers/groupcommit.py",
            "            if self._waiting:\n                self._pass_on()\n",
            "",
        ),
        Mutant(
            "who waits does not try to commit before",
            "containers/groupcommit.py",
            "                if self._right.acquire(blocking=False):\n"
            "                    self._commit_all()\n"
            "                else:\n"
            "                    job.permit.acquire()\n",
            "                if len(self._waiting) == 1 and "
            "self._right.acquire(blocking=False):\n"
            "                    self._commit_all()\n"
            "                else:\n"
            "                    job.permit.acquire()\n",
        ),
    ],
    "containers::test_cancel_races_the_turn": [
        Mutant(
            "what follows a cancelled one does not wait until that is written",
            "containers/runner.py",
            "            self.cancelled(operation)\n        return False\n",
            "            pass\n        return False\n",
        ),
    ],
    "containers::test_the_same_request_twice": [
        Mutant(
            "who finds it in the journal does not look here once more",
            "containers/requests.py",
            "if known.finished or seen == known:",
            "if True:",
        ),
    ],
    "containers::test_resolve_races_requests": [
        Mutant(
            "what waits keeps the turns that it had",
            "containers/live.py",
            "                if not operation.future.running()\n",
            "                if operation.turn is None\n",
        ),
    ],
    "containers::test_hand_over": [
        Mutant(
            "a request that comes in between begins before those left",
            "containers/runner.py",
            " or entry.scope in live.closing",
            "",
        ),
    ],
}


@pytest.mark.parametrize(
    ("scenario", "bug"),
    [(scenario, bug) for scenario, bugs in BUGS.items() for bug in bugs],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_mutant_is_caught(scenario, bug, tmp_path):
    """The scenario fails in one of its schedules."""
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name)
    bug.apply(tmp_path / PACKAGE.name)
    file, _, name = scenario.partition("::")
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            RUN_PYTEST,
            str(tmp_path),
            "-q",
            "-p",
            "no:cacheprovider",
            f"{HERE}/test_{file}.py::{name}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={
            **os.environ,
            "PARALLELOPS_SCHEDULES": SCHEDULES,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
    )
    assert run.returncode == 1, run.stdout + run.stderr
    assert "PARALLELOPS_SEED=" in run.stdout, run.stdout
