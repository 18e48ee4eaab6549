"""parallelops: pluggable executors, and the jobs they drive.

Importing this package loads nothing from outside the standard library; what
needs more is loaded when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelops.errors import (
    DeadlockError,
    ExecutorBroken,
    ExecutorSaturated,
    ExecutorShutdown,
    Expired,
    KeyQuarantined,
    KeySaturated,
    MissingDependency,
    ParallelopsError,
    PluginError,
    RateLimited,
    ShutdownTimeout,
    Superseded,
)
from parallelops.executor import Executor, Policy, Stats, Traits
from parallelops.lazy import loader
from parallelops.plugins import load_executor, prepare_process
from parallelops.runtime import Runtime, ThreadRuntime

if TYPE_CHECKING:
    from parallelops.keyed import KeyedExecutor, KeyedStats
    from parallelops.ratelimit import AdaptiveLimiter, RateLimiter

__all__ = [
    "AdaptiveLimiter",
    "DeadlockError",
    "Executor",
    "ExecutorBroken",
    "ExecutorSaturated",
    "ExecutorShutdown",
    "Expired",
    "KeyQuarantined",
    "KeySaturated",
    "KeyedExecutor",
    "KeyedStats",
    "MissingDependency",
    "ParallelopsError",
    "PluginError",
    "Policy",
    "RateLimited",
    "RateLimiter",
    "Runtime",
    "ShutdownTimeout",
    "Stats",
    "Superseded",
    "ThreadRuntime",
    "Traits",
    "load_executor",
    "prepare_process",
]

__version__ = "0.1.0"

# What not every service needs.
__getattr__ = loader(
    __name__,
    {
        "AdaptiveLimiter": "parallelops.ratelimit",
        "KeyedExecutor": "parallelops.keyed",
        "KeyedStats": "parallelops.keyed",
        "RateLimiter": "parallelops.ratelimit",
    },
)
