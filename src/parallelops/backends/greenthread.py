"""Green threads, by eventlet.

A process that uses them is monkey-patched, and has two kinds of threads:
green ones, of which one runs at a time under the hub of their native thread,
and the native ones that C libraries and tpool bring. An executor of green
threads can be used from both.
"""

from __future__ import annotations

import sys
import types
import warnings
from typing import TYPE_CHECKING, Any

from parallelops.backends.base import PoolExecutor
from parallelops.errors import MissingDependency, NotPatched
from parallelops.runtime import Runtime

try:
    with warnings.catch_warnings():
        # That eventlet is deprecated is for the service to weigh, which
        # chose this backend; here it would be said on every start.
        warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")
        import eventlet
    import greenlet
    from eventlet import hubs, patcher
except ImportError as error:
    raise MissingDependency(
        "the greenthread backend", "eventlet", "greenthread"
    ) from error

import threading
import time

from parallelops.backends.greenthread_lock import GreenLock, Waker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from parallelops.runtime import Handle, Lock

__all__ = ["GreenRuntime", "GreenThreadExecutor", "check_patched", "patch"]

# In eventlet's words: "thread" is threading, _thread and queue.
NEEDED = ("os", "select", "socket", "thread", "time")

# What blocks a native thread if it is held from before the patch.
_BLOCKING = {
    ("time", "sleep"),
    ("_thread", "allocate_lock"),
    ("_thread", "lock"),
    ("select", "select"),
    ("select", "poll"),
    ("select", "epoll"),
    ("socket", "socket"),
}

# Modules that may hold them: they are patched in place, or do the patching.
# oslo.config before 10.0 imports wrapt, whose lock is held for no longer than
# it takes to make another one, so that no green thread waits for it.
_KNOWN = sys.stdlib_module_names | {"eventlet", "greenlet", "wrapt"}


def patch() -> None:
    """Patch what green threads need patched, if it is not yet.

    Call it first thing in the program, before other modules are imported:
    one that did ``from time import sleep`` before keeps the blocking one.
    """
    eventlet.monkey_patch(**dict.fromkeys(NEEDED, True))


def check_patched(allow: Iterable[str] = ()) -> None:
    """See that all that is needed was patched, and early enough.

    Args:
        allow: names of modules that may hold on to blocking functions from
            before the patch, because they never call them in a green
            thread.

    Raises:
        NotPatched: it was not.
    """
    missing = [name for name in NEEDED if not patcher.is_monkey_patched(name)]
    if missing:
        raise NotPatched(
            f"green threads need {', '.join(missing)} monkey-patched: call "
            "parallelops.prepare_process('greenthread') first thing in the "
            "program",
            missing,
        )
    late = sorted(_hold_blocking(set(allow)))
    if late:
        raise NotPatched(
            "patched too late: from before the patch "
            f"{', '.join(f'{module} has {name}' for module, name in late)}, "
            "which would stop all green threads; patch before these are "
            "imported, or name in allow_unpatched those that never block",
            [module for module, _ in late],
        )


def _hold_blocking(allow: set[str]) -> set[tuple[str, str]]:
    found = set()
    for module_name, module in tuple(sys.modules.items()):
        package = module_name.partition(".")[0]
        if (
            (module_name != "__main__" and package in _KNOWN)
            or module_name.startswith("__original_module_")  # eventlet's
            or not {module_name, package}.isdisjoint(allow)
            or not isinstance(module, types.ModuleType)
        ):
            continue
        for value in tuple(vars(module).values()):
            if isinstance(value, (types.BuiltinFunctionType, type)):
                name = (value.__module__, value.__name__)
                if name in _BLOCKING:
                    found.add((module_name, ".".join(map(str, name))))
    return found


class GreenThreadExecutor(PoolExecutor):
    """Runs tasks on eventlet's green threads.

    Arguments as for :class:`~parallelops.backends.thread.ThreadExecutor`;
    ``max_workers`` is by default 1000, as for eventlet's own pool. It
    belongs to the native thread that made it, whose hub runs the tasks;
    submitting to it and waiting for it works from every thread.

    Args:
        allow_unpatched: see :func:`check_patched`.

    Raises:
        NotPatched: the standard library was not patched, or too late.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        allow_unpatched: Iterable[str] = (),
        **options: Any,
    ) -> None:
        check_patched(allow_unpatched)
        super().__init__(
            GreenRuntime(),
            1000 if max_workers is None else max_workers,
            thread_name_prefix,
            initializer,
            initargs,
            **options,
        )

    @classmethod
    def prepare_process(cls) -> None:
        """Patch the standard library; see :func:`patch`."""
        patch()


class GreenRuntime(Runtime):
    """Green threads under the hub of the native thread that makes it."""

    def __init__(self) -> None:
        super().__init__()
        self._waker = Waker.of(hubs.get_hub())

    def spawn(self, target: Callable[[], object], *, name: str) -> Handle:
        thread = _GreenThread(self, target, name)
        self._waker.call(thread.start)
        return thread

    def ident(self) -> int:
        return id(greenlet.getcurrent())

    def thread_name(self) -> str:
        return threading.current_thread().name

    def lock(self) -> Lock:
        return GreenLock()

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        eventlet.sleep(seconds)

    def interrupted(self) -> None:
        # Ctrl-C arrives in whichever green thread runs; pass it to the one
        # that would have had it in any other program.
        hub = self._waker.hub
        self._waker.call(
            lambda: hub.schedule_call_global(
                0, hub.greenlet.parent.throw, KeyboardInterrupt
            )
        )


class _GreenThread:
    def __init__(
        self, runtime: GreenRuntime, target: Callable[[], object], name: str
    ) -> None:
        self.name = name
        self._target = target
        self._ended = runtime.event()

    def start(self) -> None:
        eventlet.spawn(self._run)

    def _run(self) -> None:
        threading.current_thread().name = self.name
        try:
            self._target()
        finally:
            self._ended.set()

    def join(self, timeout: float | None = None) -> None:
        self._ended.wait(timeout)

    def is_alive(self) -> bool:
        return not self._ended.is_set()
