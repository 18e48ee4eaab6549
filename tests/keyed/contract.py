"""What a keyed executor does, whatever it runs on."""

from __future__ import annotations

from tests.keyed.life import LifeContract
from tests.keyed.order import OrderContract

__all__ = ["KeyedContract"]


class KeyedContract(OrderContract, LifeContract):
    """Tests for a backend; implement ``make(**options)``."""
