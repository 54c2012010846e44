"""What goes wrong in a test, and when."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Fault", "Faults", "Gate"]


class Gate:
    """A call that hangs until it is let through: a step of a camera's script, or a fault.

    It blocks the thread it is called in, so it goes with lanes that have threads. `entered` is set once somebody hangs.
    """

    def __init__(self) -> None:
        self.entered = threading.Event()
        self._open = threading.Event()

    def __call__(self) -> None:
        """Hang until `open`."""
        self.entered.set()
        self._open.wait()

    def open(self) -> None:
        """Let everybody through, now and later."""
        self._open.set()


Fault: TypeAlias = Exception | Callable[[], object]
"""An exception to raise, or a function to call first (such as a `Gate`)."""


class Faults:
    """What goes wrong at which call. Share one between instances, and their calls are counted together, from 1."""

    def __init__(self, at: Mapping[int, Fault] | None = None) -> None:
        """Fail at the calls with these numbers; every fault happens once."""
        self._at = dict(at or {})
        self._lock = threading.Lock()
        self.calls = 0
        """How many calls there were."""

    def strike(self) -> None:
        """Count one call; raise or do what was planned for it."""
        with self._lock:
            self.calls += 1
            fault = self.plan(self.calls)
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            fault()

    def plan(self, call: int) -> Fault | None:
        """Return what goes wrong at call number `call`. Override it for faults that are not listed beforehand."""
        return self._at.get(call)
