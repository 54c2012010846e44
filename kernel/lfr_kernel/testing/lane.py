"""A lane without threads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from anyio.lowlevel import checkpoint

from lfr_kernel.runtime.lanes import CallAbandonedError, LaneStatistics, attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from lfr_kernel.runtime import Clock

__all__ = ["InlineLane"]

T = TypeVar("T")


class InlineLane:
    """A `Lane` that makes each call at once, on the event loop: for plugins that do not block for long.

    Deadlines are not kept, and nothing is discarded. Calls count from 1.
    """

    def __init__(
        self,
        name: str = "inline",
        *,
        workers: int = 1,
        clock: Clock | None = None,
        fail_at: Mapping[int, Exception] | None = None,
        hang_at: Collection[int] = (),
    ) -> None:
        """Make a lane.

        Args:
            name: shown in statistics.
            workers: how many it says it has.
            clock: where calls that hang wait for their deadline; without one they are abandoned at once.
            fail_at: raised instead of making the call with that number.
            hang_at: numbers of calls that are not made, but abandoned.
        """
        self.name = name
        self.workers = workers
        self._clock = clock
        self._fail_at = dict(fail_at or {})
        self._hang_at = frozenset(hang_at)
        self._calls = 0
        self._abandoned = 0

    async def run(
        self,
        call: Callable[..., T],
        *args: Any,
        deadline_s: float,
        discard: Callable[[T], None] | None = None,  # noqa: ARG002  (part of the contract)
    ) -> T:
        """See `Lane.run`."""
        await checkpoint()
        self._calls += 1
        number = self._calls
        if number in self._hang_at:
            if self._clock is not None:
                await self._clock.sleep(deadline_s)
            self._abandoned += 1
            raise CallAbandonedError(f"call {number} on lane {self.name!r} was told to hang, and was abandoned")
        if number in self._fail_at:
            raise self._fail_at[number]
        result, error = attempt(partial(call, *args))
        if error is not None:
            raise error
        made: T = result
        return made

    def statistics(self) -> LaneStatistics:
        """See `Lane.statistics`."""
        return LaneStatistics(self.name, self.workers, self._calls, 0, 0.0, self._abandoned)

    def close(self) -> None:
        """See `Lane.close`."""
