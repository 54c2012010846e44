"""Time, handed in: so that tests decide how it passes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import anyio

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """What the runtime and the stages know of time."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that only ever rise: for latency, order and deadlines."""

    def utc_ns(self) -> int:
        """Nanoseconds since 1970, UTC: for records; may jump."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    def move_on_after(self, seconds: float) -> AbstractContextManager[anyio.CancelScope, bool]:
        """Cancel the body after `seconds`; `scope.cancelled_caught` says whether it was."""


class SystemClock:
    """The machine's clocks."""

    def monotonic_ns(self) -> int:
        """See `Clock`."""
        return time.monotonic_ns()

    def utc_ns(self) -> int:
        """See `Clock`."""
        return time.time_ns()

    async def sleep(self, seconds: float) -> None:
        """See `Clock`."""
        await anyio.sleep(max(0.0, seconds))

    def move_on_after(self, seconds: float) -> AbstractContextManager[anyio.CancelScope, bool]:
        """See `Clock`."""
        return anyio.move_on_after(seconds)
