"""The agent's own log: it names URLs as they are, with their secrets."""

from __future__ import annotations

import logging
import traceback

from parallelops.redact import redact_text

__all__ = ["Redacted"]

# Who logs what is asked for, what Ironic answers, and what fails; the last is
# that of the library that the agent makes its requests with.
_NAMES = (
    "ironic_python_agent.agent",
    "ironic_python_agent.extensions.base",
    "ironic_python_agent.extensions.standby",
    "urllib3.connectionpool",
)


class Redacted(logging.Filter):
    """Takes the secrets of URLs out of what the agent logs."""

    def install(self) -> None:
        """From now on."""
        for name in _NAMES:
            logging.getLogger(name).addFilter(self)

    def remove(self) -> None:
        """No longer."""
        for name in _NAMES:
            logging.getLogger(name).removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Let it pass, and change what it says."""
        try:
            said = record.getMessage()
        except (TypeError, ValueError):
            return True  # logging tells of it where the record is written
        if record.exc_info and record.exc_info[1] is not None:
            # As text: whoever writes it would make that of the errors anew.
            failed = traceback.format_exception(record.exc_info[1])
            said = "\n".join([said, "".join(failed).rstrip()])
            record.exc_info = record.exc_text = None
        record.msg = "\n".join(map(_line, said.split("\n")))
        record.args = None
        return True


def _line(text: str) -> str:
    indent = text[: len(text) - len(text.lstrip())]
    return indent + redact_text(text)
