"""An engine to operate with, and what became of it in a journal."""

from __future__ import annotations

import threading

from parallelops.containers import Handler, OperationUnknown

LONG = 30  # seconds, after which a test gives up


class Gate(threading.Event):
    """Holds operations until it is set; tells when the first has come."""

    def __init__(self):
        super().__init__()
        self.entered = threading.Event()

    def wait(self, timeout=LONG):
        self.entered.set()
        return super().wait(timeout)


class Engine:
    """Does what its parameters say, and remembers it."""

    def __init__(self):
        self.done = []
        self.gates = {}
        self.verdicts = {}
        self.handlers = {
            "start": self.act,
            "delete": self.act,
            "stop": Handler(self.act, recovery="idempotent"),
            "move": Handler(
                self.act, recovery="reconcile", reconcile=self.ask
            ),
            "stats": Handler(self.act, mode="bypass"),
            "look": Handler(self.act, mode="shared"),
            "logs": Handler(self.act, blocking=True),
        }

    def act(self, call):
        gate = self.gates.get(call.parameters.get("gate"))
        if gate is not None:
            assert gate.wait()
        self.done.append(call.operation)
        match call.parameters.get("then"):
            case "fail":
                raise ValueError("it went wrong at https://x?token=hidden")
            case "unknown":
                raise OperationUnknown("no answer came")
            case "exit":
                raise SystemExit("out")
            case "object":
                return self
        return {"did": call.action, "attempt": call.attempt}

    def ask(self, call):
        return self.verdicts[call.operation]

    def gate(self, name="shut"):
        self.gates[name] = Gate()
        return self.gates[name]


def states(journal, container="c"):
    """The states of a container's operations."""
    return [entry.state.value for entry in journal.history(container)]
