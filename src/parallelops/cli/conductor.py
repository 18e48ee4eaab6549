"""One life of the conductor in ``parallelops demo containers``.

Reads what to do as JSON from standard input. It writes a dot for each
operation that is done, so that somebody can kill it in the midst, and at the
end what came of it, as a line of JSON.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelops import load_executor
from parallelops.cli.localengine import LocalEngine
from parallelops.containers import ContainerOperations, SQLiteJournal, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelops.executor import Executor

__all__ = ["main", "requests"]

_CYCLE = ("start", "exec", "stop")
_CLIENTS = 8


def requests(containers: int, operations: int) -> Iterator[tuple[str, str]]:
    """What clients request, in order: container and action.

    Each container is created, goes through cycles of start, exec and stop,
    and is deleted in the end.
    """
    each, more = divmod(operations, containers)
    lives = []
    for number in range(containers):
        length = each + (number < more)
        middle = itertools.islice(itertools.cycle(_CYCLE), max(length - 2, 0))
        life = ["create", *middle, "delete"][:length]
        lives.append([(f"container-{number}", action) for action in life])
    for together in itertools.zip_longest(*lives):
        yield from filter(None, together)


def main() -> None:
    """Recover what an earlier life left, and do all that is requested."""
    todo = json.load(sys.stdin)
    folder = Path(todo["folder"])
    with (
        load_executor("thread", max_workers=todo["workers"]) as executor,
        load_executor(
            "thread", max_workers=_CLIENTS, max_queue=todo["operations"]
        ) as clients,
        SQLiteJournal(folder / "journal.sqlite") as journal,
    ):
        engine = LocalEngine(folder / "containers", executor.runtime)
        with ContainerOperations(
            executor, handlers=engine, journal=journal
        ) as operations:
            result = _live(operations, engine, clients, journal, todo)
    sys.stdout.write("\n" + json.dumps(result))


def _live(
    operations: ContainerOperations,
    engine: LocalEngine,
    clients: Executor,
    journal: SQLiteJournal,
    todo: dict[str, Any],
) -> dict[str, Any]:
    left = sum(1 for _ in journal.entries())
    done = sum(entry.finished for entry in journal.entries())
    report = operations.recover()
    for name in report.unknown:
        # What an operator does: look, and say what it was.
        container = operations.get(name).entry.container
        executed = name in engine.executed(container)
        operations.resolve(
            name, State.SUCCEEDED if executed else State.ACCEPTED
        )
    lines: dict[int, list[tuple[str, str, str]]] = {}
    wanted = requests(todo["containers"], todo["operations"])
    for number, (container, action) in enumerate(wanted):
        client = int(container.rpartition("-")[2]) % _CLIENTS
        line = lines.setdefault(client, [])
        line.append((container, action, f"request-{number}"))

    def request(line: list[tuple[str, str, str]]) -> None:
        # Whoever had no answer asks again, with the same id.
        for container, action, name in line:
            operation = operations.submit(container, action, operation_id=name)
            operation.future.add_done_callback(lambda _: os.write(1, b"."))

    for future in [clients.submit(request, line) for line in lines.values()]:
        future.result()
    operations.shutdown()
    return {
        "left": left,
        "done": done,
        "queued": len(report.queued),
        "repeated": len(report.repeated),
        "reconciling": len(report.reconciling),
        "unknown": len(report.unknown),
        "states": {
            state: sum(e.state is state for e in journal.entries())
            for state in State
        },
    }


if __name__ == "__main__":
    main()
