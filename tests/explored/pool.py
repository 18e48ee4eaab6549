"""The pool's own files, preempted at each line."""

from __future__ import annotations

import os

from parallelops.testing.exploring import explore

POOL = [
    f"parallelops/{name}.py"
    for name in (
        "backends/admission",
        "backends/base",
        "backends/fair",
        "backends/pool",
        "backends/slots",
        "backends/worker",
        "futures",
        "waiting",
        "watchers",
        "watching",
    )
]
SCHEDULES = int(os.environ.get("PARALLELOPS_SCHEDULES", "500"))

explored = explore(SCHEDULES, preempt=POOL)
