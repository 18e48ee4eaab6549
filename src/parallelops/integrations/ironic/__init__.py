"""Ironic's agent: its images, downloaded by this library.

Needs ironic-python-agent, which is loaded when it is used.
"""

from __future__ import annotations

from parallelops.integrations.ironic.downloads import (
    AgentDownload,
    AgentDownloads,
)

__all__ = ["AgentDownload", "AgentDownloads"]
