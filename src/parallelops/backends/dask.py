"""Other machines, by dask: a cluster that is there already.

The pool is the one that all backends have, and so are the bound, the queue,
the futures and the end. What its workers do is different: each takes one
call to the cluster, waits there, and comes back with what became of it.
"""

from __future__ import annotations

import functools
import os
import sys
import uuid
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from parallelops.backends.base import PoolExecutor
from parallelops.backends.intake import PoolIntake
from parallelops.backends.worker import worker_here
from parallelops.errors import (
    ExecutorBroken,
    MissingDependency,
    NotPicklable,
    TaskLost,
)
from parallelops.executor import Traits
from parallelops.naming import describe
from parallelops.runtime import ThreadRuntime

try:
    import cloudpickle
    import distributed
except ImportError as error:
    raise MissingDependency(
        "the dask backend", "distributed", "dask"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelops.backends.options import Wrap
    from parallelops.backends.pool import Pool
    from parallelops.futures import Future
    from parallelops.intake import Book, Call, Intake

__all__ = ["DaskExecutor"]

T = TypeVar("T")
P = ParamSpec("P")

# What a client is while it has a scheduler, or is looking for it.
_ALIVE = ("running", "connecting")


class DaskExecutor(PoolExecutor):
    """Runs tasks on the workers of a dask cluster.

    **Submit only what may be done twice.** When a worker dies, dask runs its
    tasks again on another one, also those that had ended but whose result
    was not fetched yet. Nobody can tell here how far the first run came.

    **Whoever can reach the scheduler can run any code**, on it, on the
    workers, and here: functions, arguments and results are pickled. Keep it
    to a network that you trust, or give the client dask's ``security``.

    Functions, arguments and results are copied. What is imported by name
    must be importable on the scheduler and the workers as well; functions
    of ``__main__``, nested ones and lambdas go as they are. Neither context
    variables nor changes to an argument come along.

    At most ``max_workers`` tasks are in the cluster at once. A task that is
    there counts as running, and can no longer be cancelled, though dask may
    let it wait: dask does not say which tasks have begun. The others wait
    here, in order, and can be. A thread here waits for each task that is
    there, and calls its callbacks.

    Args:
        client_or_address: a ``distributed.Client``, which stays open; or
            the address of a scheduler, for a client that the executor makes
            and closes when it is shut down.
        max_workers: how many tasks may be in the cluster at once; as many
            as its workers have threads now, if None.
        wrap: as for the other backends; what it returns is pickled.
        options: those of :class:`~parallelops.backends.options.Options`, but
            no ``initializer``: the workers are there already. With
            ``on_saturation="caller_runs"`` the task runs here.

    Raises:
        TypeError, ValueError: an option cannot be what it is.
        OSError: nobody answers at the address.
    """

    traits = Traits(ordered=False, shared_memory=False, exactly_once=False)

    def __init__(
        self,
        client_or_address: distributed.Client | str | None = None,
        *,
        max_workers: int | None = None,
        initializer: None = None,
        wrap: Wrap | None = None,
        **options: Any,
    ) -> None:
        if client_or_address is None:
            raise TypeError(
                "the dask backend takes a distributed.Client or the address "
                "of a scheduler as client_or_address; it starts no cluster"
            )
        if initializer is not None:
            raise TypeError(
                "the dask backend takes no initializer: its workers are "
                "there already; dask has worker plug-ins and preloads"
            )
        client: Any = client_or_address
        owned = not isinstance(client, distributed.Client)
        if owned:
            client = distributed.Client(client, set_as_default=False)
        try:
            if client.asynchronous:
                raise TypeError("nobody here can wait with an async client")
            if max_workers is None:
                max_workers = _threads_of(client)
            super().__init__(
                ThreadRuntime(), max_workers, wrap=wrap, **options
            )
        except BaseException:
            if owned:
                client.close()
            raise
        self._client = client
        # Whoever pops it closes it.
        self._to_close = [client] if owned else []
        # Ours to call, since what it returns is to be pickled.
        self._wrap, self._pool.wrap = wrap, None
        self._process = os.getpid()

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """As :meth:`Executor.submit`; the call is pickled at once.

        Raises:
            ExecutorBroken: the client has lost its scheduler or was closed,
                or this is a forked child of the process that made it.
            NotPicklable: the function or an argument cannot be pickled.
        """
        return super().submit(self._errand(fn, args, kwargs))

    def intake(self, book: Book) -> Intake:
        return PoolIntake(self, self._pool, book, self._bind)

    def _bind(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Call:
        return self._errand(fn, args, kwargs), (), {}

    def _errand(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> _Errand:
        pool = self._pool
        if pool.closed:
            raise pool.refuse()
        if os.getpid() != self._process:
            raise ExecutorBroken(
                f"{self.name}: its client is not in this fork; make another "
                "executor here"
            )
        _check(self._client, self.name)
        if self._wrap is not None:
            fn = self._wrap(fn)
        call = functools.partial(fn, *args, **kwargs)
        return _Errand(pool, self._client, call)

    def shutdown(
        self,
        wait: bool = True,
        *,
        cancel_futures: bool = False,
        timeout: float | None = None,
    ) -> None:
        try:
            super().shutdown(
                wait, cancel_futures=cancel_futures, timeout=timeout
            )
        finally:
            self._close_client(at_once=not self._pool.workers)

    def _close_client(self, *, at_once: bool) -> None:
        """Close it if it is ours, once nothing needs it any more."""
        if not self._to_close or os.getpid() != self._process:
            return
        close = functools.partial(_close_after, self._pool, self._to_close)
        if at_once:
            close()
        else:
            self.runtime.spawn(close, name=f"{self.name}-closer")

    def __del__(self) -> None:
        super().__del__()
        # This may be a thread that the client needs for its closing.
        if hasattr(self, "_process") and not sys.is_finalizing():
            self._close_client(at_once=False)


class _Errand:
    """What a worker of the pool is given to call: to have a call made.

    Attributes:
        func: the function that is to be called, for logs and events.
    """

    __slots__ = ("_call", "_client", "_pool", "func")

    def __init__(
        self, pool: Pool, client: Any, call: functools.partial[Any]
    ) -> None:
        self.func = call.func
        self._pool = pool
        self._client = client
        self._call = _Pickled(call)

    def __call__(self) -> Any:
        if worker_here(self._pool) is not None:
            return self._call_there()
        # It found no room, and the policy is that its caller runs it.
        return self._call()

    def _call_there(self) -> Any:
        name = describe(self.func)
        # One that is being closed still takes tasks, and forgets them.
        _check(self._client, self._pool.name)
        try:
            # dask makes one task of two that have the same key.
            remote = self._client.submit(
                self._call,
                key=f"{name}-{uuid.uuid4()}",
                pure=False,
                retries=0,
            )
        except Exception as error:
            raise ExecutorBroken(
                f"{name} was not sent to the cluster: {error}"
            ) from error
        try:
            return remote.result()
        except BaseException as error:
            failed = remote.status == "error"
            if failed and not isinstance(error, distributed.KilledWorker):
                raise
            raise TaskLost(
                f"{name} was lost, and may have run: "
                f"{type(error).__name__}: {error}"
            ) from error
        finally:
            # The frames of a failure lead to it, and would keep what is in
            # the cluster for as long as somebody keeps the failure.
            remote.release()


class _Pickled:
    """A call that is pickled already, and is itself again over there.

    So it is in one piece. dask would look into the arguments for its own
    tasks and futures, and take some keywords for its own.
    """

    __slots__ = ("_pickle",)

    def __init__(self, call: functools.partial[Any]) -> None:
        try:
            self._pickle = cloudpickle.dumps(call)
        except Exception as error:
            raise NotPicklable(
                f"{describe(call)} cannot be sent to another machine: "
                f"{type(error).__name__}: {error}"
            ) from error

    def __call__(self) -> Any:
        return cloudpickle.loads(self._pickle)()

    def __reduce__(self) -> tuple[Callable[[bytes], Any], tuple[bytes]]:
        return cloudpickle.loads, (self._pickle,)


def _check(client: Any, executor: str) -> None:
    if client.status not in _ALIVE:
        raise ExecutorBroken(
            f"{executor}: its client is {client.status}; it has lost its "
            "scheduler, or somebody has closed it"
        )


def _threads_of(client: Any) -> int:
    threads: int = sum(client.nthreads().values())
    if not threads:
        raise ValueError(
            "the cluster has no workers to count; say max_workers"
        )
    return threads


def _close_after(pool: Pool, clients: list[Any]) -> None:
    pool.join(None)
    try:
        client = clients.pop()
    except IndexError:
        return  # somebody else was faster
    client.close()
