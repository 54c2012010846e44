"""Time, handed in: so that tests decide how it passes."""

import time
from contextlib import AbstractContextManager
from typing import Protocol

import anyio


class Clock(Protocol):
    """What the runtime and the stages know of time. The first two may be called from any thread."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that only ever rise: for latency, order and deadlines."""

    def utc_ns(self) -> int:
        """Nanoseconds since 1970, UTC: for records; may jump."""

    async def sleep(self, seconds: float, /) -> None:
        """Wait; not at all if `seconds` is not above 0."""

    def move_on_after(self, seconds: float | None, /) -> AbstractContextManager[anyio.CancelScope, bool]:
        """Cancel the body after `seconds`, unless they are None; `scope.cancelled_caught` says whether it was."""


class SystemClock:
    """The machine's clocks."""

    monotonic_ns = staticmethod(time.monotonic_ns)
    utc_ns = staticmethod(time.time_ns)
    sleep = staticmethod(lambda seconds, /: anyio.sleep(max(0.0, seconds)))
    move_on_after = staticmethod(anyio.move_on_after)
