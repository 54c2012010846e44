"""Lanes: where blocking work runs, in daemon threads of our own, which do not keep the process alive.

A lane has a fixed number of workers, its tokens. A token is free when its call really ends. A call past its deadline is
abandoned: counted, and its worker replaced, so that a plugin that hangs costs one thread and not the lane.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from lfr_kernel.runtime.clock import Clock
from lfr_kernel.runtime.errors import PassingError

T = TypeVar("T")


class CallAbandonedError(PassingError, TimeoutError):
    """A call on a lane went past its deadline; its thread was left behind and replaced."""


class LaneStatistics(Struct, frozen=True):
    """A snapshot of one lane."""

    name: str
    workers: int
    calls: int  #: that have ended, late or not
    queued: int
    busy_s: float  #: spent by its threads in those calls
    abandoned: int


class Lane(Protocol):
    """Runs blocking calls away from the event loop."""

    name: str
    workers: int

    async def run(
        self, call: Callable[..., T], *args: Any, deadline_s: float, discard: Callable[[T], None] | None = None
    ) -> T:
        """Return what `call(*args)` returns. `discard` gets a result that nobody waits for any more, in any thread.

        Raises:
            CallAbandonedError: it took longer than `deadline_s` from when it began.
            PassingError: the lane is closed, or something like SystemExit came out of the call.
        """

    def statistics(self) -> LaneStatistics:
        """Return a snapshot."""

    def close(self) -> None:
        """Let the workers end after what they do now."""


class _Job(Future[Any]):
    """One call. Cancelled if nobody waits any more before it begins; abandoned if it takes too long."""

    call: Callable[[], Any]
    began_ns: int | None = None
    is_abandoned = False


class ThreadLane:
    """A lane of `workers` daemon threads with one queue."""

    def __init__(self, name: str, *, clock: Clock, workers: int = 1) -> None:
        self.name, self.workers = name, workers
        self._clock = clock
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._calls = self._busy_ns = self._abandoned = 0
        self._lock = threading.Lock()
        self._is_closed = False
        for _ in range(workers):
            self._start_worker()

    async def run(
        self, call: Callable[..., T], *args: Any, deadline_s: float, discard: Callable[[T], None] | None = None
    ) -> T:
        """See `Lane.run`."""
        what = f"{getattr(call, '__qualname__', type(call).__name__)} on lane {self.name!r}"
        if self._is_closed:
            raise PassingError(f"{what} cannot run: the lane is closed")
        job = _Job()
        job.call = partial(call, *args)
        done: asyncio.Future[T] = asyncio.wrap_future(job)
        self._jobs.put(job)
        wait_s = deadline_s
        try:
            while not done.done():
                with self._clock.move_on_after(wait_s):
                    await asyncio.wait([done])
                # The deadline counts from when the call began: while it queues, its predecessors' deadlines count.
                wait_s = deadline_s - (0 if job.began_ns is None else self._clock.monotonic_ns() - job.began_ns) / 1e9
                if wait_s <= 0:
                    self._abandon(job, f"{what} did not return within {deadline_s:g} s and was abandoned")
            return done.result()
        except BaseException:
            done.cancel()
            if discard is not None:
                job.add_done_callback(partial(_discard, discard))
            raise
        finally:
            del job, done  # they hold the error, whose traceback holds this frame

    def _abandon(self, job: _Job, why: str) -> None:
        """Replace the worker of `job` and raise CallAbandonedError, unless it has ended after all."""
        with self._lock:
            job.is_abandoned = not job.done()
            self._abandoned += job.is_abandoned
        if job.is_abandoned:
            self._start_worker()
            raise CallAbandonedError(why)

    def _start_worker(self) -> None:
        threading.Thread(target=self._work, name=f"lfr:{self.name}", daemon=True).start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not job.set_running_or_notify_cancel():
                continue
            job.began_ns = self._clock.monotonic_ns()
            result, error = attempt(job.call)
            with self._lock:
                self._calls += 1
                self._busy_ns += self._clock.monotonic_ns() - job.began_ns
                if error is None:
                    job.set_result(result)
                else:
                    job.set_exception(error)
                if job.is_abandoned:
                    return
            del job, result, error  # not to be held while there is nothing to do

    def statistics(self) -> LaneStatistics:
        """See `Lane.statistics`."""
        busy_s, queued = self._busy_ns / 1e9, 0 if self._is_closed else self._jobs.qsize()
        return LaneStatistics(self.name, self.workers, self._calls, queued, busy_s, self._abandoned)

    def close(self) -> None:
        """See `Lane.close`."""
        self._is_closed = True
        for _ in range(self.workers):
            self._jobs.put(None)


def attempt(call: Callable[[], Any]) -> tuple[Any, Exception | None]:
    """Return (result, None) or (None, error), where no SystemExit ends the process and no StopIteration a coroutine."""
    try:
        return call(), None
    except BaseException as error:  # noqa: BLE001  (whoever waits for the call gets it)
        if isinstance(error, Exception) and not isinstance(error, StopIteration):
            return None, error
        return None, PassingError(f"{type(error).__name__} escaped from a plugin: {error}")


def _discard(discard: Callable[[Any], None], job: Future[Any]) -> None:
    if not job.cancelled() and job.exception() is None:
        discard(job.result())
