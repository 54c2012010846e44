"""Time that passes when the test says so."""

from __future__ import annotations

import asyncio
import heapq
import math
from itertools import count
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["VirtualClock"]

BLOCKED_ROUNDS = 3
"""A future that is done wakes its task through callbacks: rounds of the event loop in which no task looks runnable."""
MOST_ROUNDS = 100_000


class VirtualClock:
    """A `Clock` that stands still until `advance`. Begins at 0, which is 14 November 2023, 22:13:20 UTC."""

    def __init__(self) -> None:
        self._now_ns = 0
        self._utc_offset_ns = 1_700_000_000_000_000_000
        self._alarms: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def monotonic_ns(self) -> int:
        """See `Clock`."""
        return self._now_ns

    def utc_ns(self) -> int:
        """See `Clock`."""
        return self._now_ns + self._utc_offset_ns

    async def sleep(self, seconds: float, /) -> None:
        """See `Clock`."""
        rung = anyio.Event()
        self._set_alarm(seconds, rung.set)
        await rung.wait()
        await checkpoint()

    def move_on_after(self, seconds: float | None, /) -> anyio.CancelScope:
        """See `Clock`."""
        scope = anyio.CancelScope()
        self._set_alarm(math.inf if seconds is None else seconds, scope.cancel)
        return scope

    def _set_alarm(self, seconds: float, ring: Callable[[], None]) -> None:
        if seconds <= 0:
            ring()
        elif seconds < math.inf:
            heapq.heappush(self._alarms, (self._now_ns + seconds * 1e9, next(self._numbers), ring))

    async def advance(self, seconds: float = 0.0) -> None:
        """Let `seconds` pass, stopping at every sleeper and deadline that falls due, in order.

        Before the first and after each, all tasks run until they wait. Threads are not waited for: to a test that
        uses any, a task that waits for one looks blocked.

        Raises:
            RuntimeError: some task never waits.
        """
        until_ns = self._now_ns + round(seconds * 1e9)
        await self._settle()
        while self._alarms and self._alarms[0][0] <= until_ns:
            due_ns, _, ring = heapq.heappop(self._alarms)
            self._now_ns = max(self._now_ns, math.ceil(due_ns))
            ring()
            await self._settle()
        self._now_ns = until_ns

    def jump_utc(self, seconds: float) -> None:
        """Set the wall clock forward, or back, as an administrator or NTP might. Monotonic time knows nothing of it."""
        self._utc_offset_ns += round(seconds * 1e9)

    @staticmethod
    async def _settle() -> None:
        me = asyncio.current_task()
        blocked_rounds = 0
        for _ in range(MOST_ROUNDS):
            await checkpoint()
            is_blocked = all(_waits(task) for task in asyncio.all_tasks() if task is not me)
            blocked_rounds = blocked_rounds + 1 if is_blocked else 0
            if blocked_rounds == BLOCKED_ROUNDS:
                return
        raise RuntimeError(
            f"tasks did not settle within {MOST_ROUNDS} rounds of the event loop: one of them never waits"
        )


def _waits(task: asyncio.Task[object]) -> bool:
    # As in anyio.wait_all_tasks_blocked, which however sleeps for 0.1 s of real time whenever a task is not blocked.
    waiter: asyncio.Future[object] | None = getattr(task, "_fut_waiter", None)
    return waiter is not None and not waiter.done()
