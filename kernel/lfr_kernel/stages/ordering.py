"""Putting results of overlapping calls back in order."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable
    from contextlib import AbstractAsyncContextManager

__all__ = ["Turns"]


class Turns:
    """Turns per key, in the order in which they were taken.

    `take` before the overlapping work begins, enter the turn when its result is there: the body runs once every
    earlier turn of the same key has been left. A turn that was taken must be entered, or it holds up the rest.
    """

    def __init__(self) -> None:
        self._last: dict[Hashable, anyio.Event] = {}

    def take(self, key: Hashable) -> AbstractAsyncContextManager[None]:
        """Take the next turn of `key`."""
        before = self._last.get(key)
        mine = self._last[key] = anyio.Event()
        return self._turn(before, mine)

    @staticmethod
    @asynccontextmanager
    async def _turn(before: anyio.Event | None, mine: anyio.Event) -> AsyncIterator[None]:
        try:
            if before is not None:
                await before.wait()
            yield
        finally:
            mine.set()
