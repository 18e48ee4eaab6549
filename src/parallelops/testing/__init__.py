"""For those who test executors, or code that uses them.

- :class:`ExecutorContract` is what every executor promises, as tests.
- :func:`explore` runs a test under many schedules, in virtual time.
- :class:`ManualExecutor` and :class:`FakeClock` move when the test says so.
- :class:`MemoryCatalog`, :class:`MemoryStore` and :class:`MemoryJournal` fail
  as the test plans.
- :mod:`parallelops.testing.strategies` makes such plans, with hypothesis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelops.lazy import loader

if TYPE_CHECKING:
    from parallelops.testing.contract import ExecutorContract
    from parallelops.testing.exploring import (
        Exploration,
        Finding,
        Sim,
        explore,
    )
    from parallelops.testing.fakes import (
        Fault,
        MemoryCatalog,
        MemoryStore,
        WriteFault,
    )
    from parallelops.testing.journals import JournalFault, MemoryJournal
    from parallelops.testing.manual import FakeClock, ManualExecutor
    from parallelops.testing.simulation import (
        Deadlock,
        Endless,
        SimulationFailure,
        Stuck,
    )

__all__ = [
    "Deadlock",
    "Endless",
    "ExecutorContract",
    "Exploration",
    "FakeClock",
    "Fault",
    "Finding",
    "JournalFault",
    "ManualExecutor",
    "MemoryCatalog",
    "MemoryJournal",
    "MemoryStore",
    "Sim",
    "SimulationFailure",
    "Stuck",
    "WriteFault",
    "explore",
]

# pytest loads this package wherever it is installed, for its plug-in; who
# does not use it does not pay for it.
__getattr__ = loader(
    __name__,
    {
        "Deadlock": "parallelops.testing.simulation",
        "Endless": "parallelops.testing.simulation",
        "ExecutorContract": "parallelops.testing.contract",
        "Exploration": "parallelops.testing.exploring",
        "FakeClock": "parallelops.testing.manual",
        "Fault": "parallelops.testing.fakes",
        "Finding": "parallelops.testing.exploring",
        "JournalFault": "parallelops.testing.journals",
        "ManualExecutor": "parallelops.testing.manual",
        "MemoryCatalog": "parallelops.testing.fakes",
        "MemoryJournal": "parallelops.testing.journals",
        "MemoryStore": "parallelops.testing.fakes",
        "Sim": "parallelops.testing.exploring",
        "SimulationFailure": "parallelops.testing.simulation",
        "Stuck": "parallelops.testing.simulation",
        "WriteFault": "parallelops.testing.fakes",
        "explore": "parallelops.testing.exploring",
    },
)
