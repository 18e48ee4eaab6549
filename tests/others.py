"""For tests with the software of others, which few environments have."""

from __future__ import annotations

import contextlib
import importlib.util
import warnings
from pathlib import Path

import pytest


def any_missing(*modules):
    """Whether one of them is not installed."""
    return any(importlib.util.find_spec(name) is None for name in modules)


@contextlib.contextmanager
def may_warn():
    """Import here what warns: the modules of tests find it loaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def let_warn(items, conftest):
    """What is warned of in the tests beside a conftest is no error: it is
    for others to mend."""
    folder = Path(conftest).parent
    for item in items:
        if item.path.is_relative_to(folder):
            item.add_marker(pytest.mark.filterwarnings("default"))
