"""Overwriting what a plugin and its runtime keep in their buffers, once there has been nothing to do for a while.

Buffers are reused and overwritten by the next picture. When none comes, the last one would stay: in the input buffer of
each thread, in what the layers of a model left behind, in as many copies as there were runs that overlapped. So every
worker of the lane makes one call with nothing in it, all at the same time.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import anyio
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from lfr_kernel.runtime import Clock, Lane

__all__ = ["IDLE_S", "LOOK_S", "BlankPicture", "IdleSpells", "call_on_every_worker"]

IDLE_S = 1.0
"""How long there must have been nothing to do."""
LOOK_S = 0.5
"""How often a host looks whether it is idle."""
TRIES = 3
"""How often a host tries to have all workers at once."""
MEET_S = 0.25
"""How long a worker waits for the others. It may have to wait for a call to end, and must not hold up work for long."""


class BlankPicture:
    """A black `Picture` that takes no memory."""

    def __init__(self, size: tuple[int, int]) -> None:
        """Make one of `size`, (width, height) in px."""
        self._size = size

    @property
    def size(self) -> tuple[int, int]:
        """See `Picture`."""
        return self._size

    def rgb(self, width: int, height: int) -> NDArray[np.uint8]:
        """See `Picture`."""
        return np.zeros((height, width, 3), np.uint8)

    def patch(self, affine: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.uint8]:  # noqa: ARG002  (black anywhere)
        """See `Picture`."""
        return np.zeros((size[1], size[0], 3), np.uint8)


class IdleSpells:
    """Tells one host when a spell without work has lasted `IDLE_S`: once a spell, and never before any work."""

    def __init__(self) -> None:
        self._working = self._tries = 0
        self._last_ns: int | None = None

    @contextmanager
    def work(self, clock: Clock) -> Iterator[None]:
        """Enter for the time of a piece of work."""
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1
            self._tries = 0
            self._last_ns = clock.monotonic_ns()

    def is_due(self, clock: Clock) -> bool:
        """Return whether to overwrite now; whoever asks does so."""
        if self._working or self._last_ns is None or clock.monotonic_ns() - self._last_ns < IDLE_S * 1e9:
            return False
        self._last_ns = None
        self._tries += 1
        return True

    def try_again(self, clock: Clock) -> None:
        """Hear that not every worker took part: this spell is due once more after another `IDLE_S`, a few times."""
        if self._last_ns is None and self._tries < TRIES:
            self._last_ns = clock.monotonic_ns()


async def call_on_every_worker(lane: Lane, call: Callable[[], object], *, overlapping: int, deadline_s: float) -> bool:
    """Let every worker of a lane make a call, at the same time as far as calls may overlap. What they raise is ignored.

    Args:
        lane: whose workers.
        call: what each calls.
        overlapping: how many calls may overlap.
        deadline_s: for one call.

    Returns:
        Whether every worker took part; when one was held up, another may have called twice.

    Raises:
        CallAbandonedError: a call hung.
    """
    meeting, slots = threading.Barrier(lane.workers), threading.Semaphore(overlapping)
    failures: list[Exception] = []

    def meet_and_call() -> None:
        with suppress(threading.BrokenBarrierError):
            meeting.wait(MEET_S)
        # A plugin may find nothing in it a mistake; by then it has overwritten its buffers.
        with slots, suppress(Exception), np.errstate(all="ignore"):
            call()

    async def one() -> None:
        try:
            await lane.run(meet_and_call, deadline_s=MEET_S + deadline_s * lane.workers)
        except Exception as error:  # noqa: BLE001  (raised below, outside of the group that would wrap it)
            failures.append(error)

    async with anyio.create_task_group() as tasks:
        for _ in range(lane.workers):
            tasks.start_soon(one)
    if failures:
        raise failures[0]
    return not meeting.broken
