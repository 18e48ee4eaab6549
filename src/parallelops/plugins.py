"""Loading plug-ins by name; the only import of stevedore."""

from __future__ import annotations

import importlib
from typing import Any

from parallelops.executor import Executor


def load_executor(name: str, **options: Any) -> Executor:
    module = {"serial": "serial:SerialExecutor", "thread": "thread:ThreadExecutor", "greenthread": "greenthread:GreenThreadExecutor"}[name]
    mod, _, attr = module.partition(":")
    return getattr(importlib.import_module(f"parallelops.backends.{mod}"), attr)(**options)


def prepare_process(name: str) -> None:
    ...
