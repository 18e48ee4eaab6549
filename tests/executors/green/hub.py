"""Green and native threads together, in a patched process."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

import eventlet
import pytest
from eventlet import hubs, patcher, tpool

from parallelops import load_executor
from parallelops.backends.greenthread import GreenLock, GreenRuntime

native = patcher.original("threading")
LIMIT = 20


@pytest.fixture
def executor():
    """An executor with a few green workers."""
    with load_executor("greenthread", max_workers=4) as executor:
        yield executor


def test_tasks_share_one_native_thread(executor):
    """Tasks are green threads of the hub's native thread, with names."""
    ident = native.get_ident()
    futures = [executor.submit(native.get_ident) for _ in range(4)]
    assert {future.result(LIMIT) for future in futures} == {ident}
    name = executor.submit(lambda: threading.current_thread().name)
    assert name.result(LIMIT).startswith("GreenThreadExecutor")


def test_native_thread_submits_and_waits(executor):
    """A native thread may use the executor; it wakes a hub that sleeps."""
    results = []

    def use() -> None:
        future = executor.submit(native.get_ident)
        results.append(future.result(LIMIT))
        results.append(executor.wait([future], LIMIT).done == {future})

    thread = native.Thread(target=use)
    thread.start()
    while thread.is_alive():
        eventlet.sleep(0.001)
    assert results == [native.get_ident(), True]


def test_native_thread_completes_a_future(executor):
    """A wait for what a native thread completes lets the others run, and
    ends though nothing else happens in the hub."""
    beats = []
    done = executor.runtime.event()
    release = native.Event()

    def blocking() -> str:
        release.wait(LIMIT)
        return "done"

    def work() -> str:
        return tpool.execute(blocking)

    def beat() -> None:
        while len(beats) < 10:
            beats.append(1)
            eventlet.sleep(0.001)
        release.set()
        done.set()

    future = executor.submit(work)
    executor.submit(beat)
    assert executor.wait([future], LIMIT).done == {future}
    assert future.result() == "done"
    assert len(beats) == 10
    tpool.killall()


def test_locks_pass_between_kinds_of_threads():
    """Green and native threads take turns with one lock, and none is
    lost."""
    lock = GreenLock()
    count = [0]
    ended = GreenRuntime().event()
    rounds = 300

    def take() -> None:
        for _ in range(rounds):
            with lock:
                seen = count[0]
                if count[0] % 7 == 0 and native.get_ident() == main:
                    eventlet.sleep(0)
                count[0] = seen + 1
        finished.append(1)
        if len(finished) == 6:
            ended.set()

    main = native.get_ident()
    finished: list[int] = []
    threads = [native.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        eventlet.spawn(take)
    assert ended.wait(LIMIT)
    assert count[0] == 6 * rounds
    for thread in threads:
        thread.join(LIMIT)


def test_lock_in_time():
    """A lock that is not released is not taken, and waiting for it does not
    spoil it for the next."""
    lock = GreenLock()
    assert lock.acquire()
    assert not lock.acquire(blocking=False)
    assert not lock.acquire(timeout=0)
    assert not lock.acquire(timeout=0.01)
    out = []
    thread = native.Thread(
        target=lambda: out.append(lock.acquire(timeout=0.01))
    )
    thread.start()
    thread.join(LIMIT)
    assert out == [False]
    lock.release()
    assert lock.acquire(timeout=1)
    lock.release()
    with pytest.raises(RuntimeError):
        lock.release()


def test_killed_while_it_waits():
    """A green thread that is killed in a lock's line leaves it in order."""
    lock = GreenLock()
    lock.acquire()
    waiting = eventlet.spawn(lock.acquire)
    behind = eventlet.spawn(lock.acquire)
    eventlet.sleep(0)
    waiting.kill()
    lock.release()
    assert behind.wait() is True
    assert not lock.acquire(blocking=False)


def test_killed_when_it_was_let_in():
    """One that is killed after the lock was given to it passes it on."""
    lock = GreenLock()
    lock.acquire()
    waiting = eventlet.spawn(lock.acquire)
    eventlet.sleep(0)
    lock.release()
    waiting.kill()
    assert lock.acquire(timeout=1)


def test_timeout_of_eventlet_passes_through(executor):
    """eventlet.Timeout ends a wait, and only that."""
    future = executor.submit(eventlet.sleep, 0.05)
    with pytest.raises(eventlet.Timeout), eventlet.Timeout(0.01):
        future.result()
    assert future.result(LIMIT) is None


def test_waiting_in_the_hub_is_an_error():
    """A callback of the hub cannot wait; it is told so."""
    lock = GreenLock()
    lock.acquire()
    errors = []

    def wait() -> None:
        try:
            lock.acquire()
        except RuntimeError as error:
            errors.append(str(error))

    hubs.get_hub().schedule_call_global(0, wait)
    eventlet.sleep(0.01)
    assert "would block the hub" in errors[0]


def test_submit_in_a_signal_handler(executor):
    """A handler may submit while the hub sleeps; the task runs at once."""
    futures = []
    seen = executor.runtime.event()

    def handle(*_) -> None:
        futures.append(executor.submit(seen.set))

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        timer = native.Timer(
            0.05, lambda: os.kill(os.getpid(), signal.SIGUSR1)
        )
        timer.start()
        # Nothing else would wake the hub before the limit.
        assert seen.wait(LIMIT)
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert futures[0].result(LIMIT) is None


def test_ctrl_c_reaches_the_main_thread(executor):
    """Ctrl-C in a green task ends the wait of the main one, at once."""
    future = executor.submit(
        lambda: os.kill(os.getpid(), signal.SIGINT) or time.sleep(LIMIT)
    )
    with pytest.raises(KeyboardInterrupt):
        eventlet.sleep(LIMIT)
    assert isinstance(future.exception(LIMIT), KeyboardInterrupt)
    assert executor.submit(int).result(LIMIT) == 0


def test_tasks_use_patched_sockets(executor):
    """Real input and output: tasks that wait for each other's bytes."""
    server = socket.create_server(("127.0.0.1", 0))
    address = server.getsockname()

    def serve() -> bytes:
        connection, _ = server.accept()
        with connection:
            return connection.recv(5)

    def send() -> None:
        with socket.create_connection(address) as connection:
            connection.sendall(b"hello")

    received = executor.submit(serve)
    sent = executor.submit(send)
    assert received.result(LIMIT) == b"hello"
    assert sent.result(LIMIT) is None
    server.close()
