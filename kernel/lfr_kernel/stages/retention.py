"""The retention stage: its contract, and the actor that hosts a plugin of it."""

from __future__ import annotations

from typing import Literal, Protocol

__all__ = ["CEILINGS_S", "RecordClass", "Retention"]

RecordClass = Literal["alert", "evidence"]

CEILINGS_S: dict[RecordClass, float] = {"alert": 31 * 86_400.0, "evidence": 86_400.0}
"""How long a record of each class may live at most, in seconds. Unmatched faces have no class: they are never kept."""


class Retention(Protocol):
    """Says how long records live: a pure function. It can only shorten the kernel's ceilings."""

    def seconds(self, record_class: RecordClass) -> float:
        """Return how many seconds a record of this class lives; the host takes the smaller of this and the ceiling."""
