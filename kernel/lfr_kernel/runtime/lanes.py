"""Lanes: where blocking work runs, in daemon threads of our own.

A lane has a fixed number of workers, its tokens. A token is free when its call really ends, not when somebody stops
waiting for it. A call past its deadline is abandoned: counted, and its worker replaced, so that a plugin that hangs
costs one thread and not the lane. Daemon threads do not keep the process alive.
"""

from __future__ import annotations

import asyncio
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from lfr_kernel.runtime.errors import CallAbandonedError, PassingError
from lfr_kernel.runtime.statistics import LaneStatistics

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfr_kernel.runtime.clock import Clock

__all__ = ["Lane", "ThreadLane"]

T = TypeVar("T")


class Lane(Protocol):
    """Runs blocking calls away from the event loop."""

    name: str
    workers: int

    async def run(
        self, call: Callable[..., T], *args: Any, deadline_s: float, discard: Callable[[T], None] | None = None
    ) -> T:
        """Run `call(*args)` and return what it returns.

        Args:
            call: the blocking call.
            args: its arguments.
            deadline_s: how long it may take, from when it begins.
            discard: erases a result that comes after everybody has stopped waiting; runs in the worker.

        Raises:
            CallAbandonedError: it took longer.
        """

    def statistics(self) -> LaneStatistics:
        """Return a snapshot."""

    def close(self) -> None:
        """Let the workers end after what they do now."""


class _Job:
    """One call: waiting → begun → ended, or waiting → forgotten, or begun → abandoned."""

    __slots__ = ("call", "discard", "done", "lock", "loop", "started_ns", "state")

    def __init__(self, call: Callable[[], Any], discard: Callable[[Any], None] | None) -> None:
        self.call = call
        self.discard = discard
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Any] = self.loop.create_future()
        self.lock = threading.Lock()
        self.state = "waiting"
        self.started_ns = 0

    def move(self, before: str, after: str) -> bool:
        with self.lock:
            if self.state != before:
                return False
            self.state = after
            return True

    def settle(self, result: Any, error: Exception | None) -> None:
        """Runs on the event loop."""
        if self.done.cancelled():
            if error is None and self.discard:
                self.discard(result)
        elif error is not None:
            self.done.set_exception(error)
        else:
            self.done.set_result(result)


class ThreadLane:
    """A lane of `workers` daemon threads with one queue."""

    def __init__(self, name: str, *, clock: Clock, workers: int = 1) -> None:
        self.name = name
        self.workers = workers
        self._clock = clock
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._calls = 0
        self._busy_ns = 0
        self._abandoned = 0
        self._is_closed = False
        self._counting = threading.Lock()
        for _ in range(workers):
            self._start_worker()

    async def run(
        self, call: Callable[..., T], *args: Any, deadline_s: float, discard: Callable[[T], None] | None = None
    ) -> T:
        """See `Lane.run`."""
        job = _Job(lambda: call(*args), discard)
        self._jobs.put(job)
        remaining_s = deadline_s
        try:
            while True:
                with self._clock.move_on_after(remaining_s):
                    result: T = await asyncio.shield(job.done)
                    return result
                if job.done.done():
                    continue
                # The deadline counts from when the call began: while it queues, its predecessors' deadlines count.
                used_s = (self._clock.monotonic_ns() - job.started_ns) / 1e9 if job.state != "waiting" else 0.0
                remaining_s = deadline_s - used_s
                if remaining_s <= 0 and job.move("begun", "abandoned"):
                    self._abandoned += 1
                    self._start_worker()
                    raise CallAbandonedError(self.name, _name(call), deadline_s)
                remaining_s = max(remaining_s, 0.001)
        finally:
            job.move("waiting", "forgotten")
            if not job.done.done():
                job.done.cancel()

    def statistics(self) -> LaneStatistics:
        """See `Lane.statistics`."""
        return LaneStatistics(
            name=self.name,
            workers=self.workers,
            calls=self._calls,
            queued=self._jobs.qsize(),
            busy_s=self._busy_ns / 1e9,
            abandoned=self._abandoned,
        )

    def close(self) -> None:
        """See `Lane.close`."""
        if not self._is_closed:
            self._is_closed = True
            for _ in range(self.workers):
                self._jobs.put(None)

    def _start_worker(self) -> None:
        number = self._abandoned
        name = f"lfr:{self.name}" + (f"+{number}" if number else "")
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.started_ns = self._clock.monotonic_ns()
            if not job.move("waiting", "begun"):
                continue
            result: Any = None
            error: Exception | None = None
            try:
                result = job.call()
            except BaseException as caught:  # noqa: BLE001  (it is the awaiting actor's to handle)
                # A future takes no StopIteration, and a plugin's SystemExit must not end the process.
                if isinstance(caught, Exception) and not isinstance(caught, StopIteration):
                    error = caught
                else:
                    error = PassingError(f"{type(caught).__name__} escaped from a plugin: {caught}")
            busy_ns = self._clock.monotonic_ns() - job.started_ns
            with self._counting:
                self._calls += 1
                self._busy_ns += busy_ns
            if not job.move("begun", "ended"):
                if error is None and job.discard:
                    job.discard(result)
                return
            try:
                job.loop.call_soon_threadsafe(job.settle, result, error)
            except RuntimeError:  # the loop is gone: nobody waits any more
                if error is None and job.discard:
                    job.discard(result)
                return
            del job, result, error


def _name(call: Callable[..., Any]) -> str:
    return getattr(call, "__qualname__", type(call).__name__)
