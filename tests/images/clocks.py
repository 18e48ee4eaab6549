"""A runtime whose clock stands still until it is set."""

from __future__ import annotations

import random

from parallelops.runtime import ThreadRuntime


class StillRuntime(ThreadRuntime):
    """Real threads, a clock of its own, and chance from a seed."""

    def __init__(self, seed=0):
        super().__init__()
        self.random = random.Random(seed)
        self.now = 0.0

    def monotonic(self):
        return self.now

    def time(self):
        return 1e9 + self.now

    def sleep(self, seconds):
        self.now += seconds
