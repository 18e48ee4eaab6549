"""What every executor promises, as tests that a plug-in author inherits.

A whole test file::

    from parallelops.testing import ExecutorContract

    class TestMyExecutor(ExecutorContract):
        def make(self, **options):
            return MyExecutor(**options)

It runs under pytest as it stands, and under unittest with
``unittest.TestCase`` as a second base. What a backend's traits do not claim
is skipped; nothing else is.
"""

from __future__ import annotations

from parallelops.testing.contract.bounds import BoundsContract
from parallelops.testing.contract.calls import CallsContract
from parallelops.testing.contract.failures import FailuresContract
from parallelops.testing.contract.lifecycle import LifecycleContract
from parallelops.testing.contract.observing import ObservingContract
from parallelops.testing.contract.waits import WaitsContract
from parallelops.testing.contract.workers import WorkersContract

__all__ = ["ExecutorContract"]


class ExecutorContract(
    CallsContract,
    FailuresContract,
    WaitsContract,
    BoundsContract,
    WorkersContract,
    LifecycleContract,
    ObservingContract,
):
    """All of the contract. Implement ``make(**options)``."""
