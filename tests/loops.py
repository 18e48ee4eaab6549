"""Block devices that are files."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def loop_device(file: Path) -> Iterator[str]:
    """The path of one that is this file; skips where there can be none."""
    if os.geteuid():
        pytest.skip("a loop device needs root")
    try:
        made = subprocess.run(
            ["losetup", "--find", "--show", str(file)],
            check=True,
            capture_output=True,
            text=True,
        )
    except OSError as error:
        pytest.skip(f"there can be no loop device: {error}")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"there can be no loop device: {error.stderr}")
    path = made.stdout.strip()
    try:
        yield path
    finally:
        subprocess.run(["losetup", "--detach", path], check=True)
