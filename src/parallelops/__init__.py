"""parallelops: pluggable executors, and the jobs they drive.

Importing this package loads nothing from outside the standard library; what
needs more is loaded when it is asked for.
"""

from __future__ import annotations

from parallelops.errors import (
    DeadlockError,
    ExecutorBroken,
    ExecutorSaturated,
    ExecutorShutdown,
    MissingDependency,
    ParallelopsError,
    PluginError,
    RateLimited,
    ShutdownTimeout,
)
from parallelops.executor import Executor, Policy, Stats, Traits
from parallelops.plugins import load_executor, prepare_process
from parallelops.ratelimit import AdaptiveLimiter, RateLimiter
from parallelops.runtime import Runtime, ThreadRuntime

__all__ = [
    "AdaptiveLimiter",
    "DeadlockError",
    "Executor",
    "ExecutorBroken",
    "ExecutorSaturated",
    "ExecutorShutdown",
    "MissingDependency",
    "ParallelopsError",
    "PluginError",
    "Policy",
    "RateLimited",
    "RateLimiter",
    "Runtime",
    "ShutdownTimeout",
    "Stats",
    "ThreadRuntime",
    "Traits",
    "load_executor",
    "prepare_process",
]

__version__ = "0.1.0"
