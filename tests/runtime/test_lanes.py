"""Lanes: real threads on virtual time. Events say where a call stands; nothing sleeps."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from lfr_kernel.runtime import CallAbandonedError, PassingError, ThreadLane

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from lfr_kernel.testing import VirtualClock

pytestmark = pytest.mark.anyio


class Call:
    """A blocking call that waits until it is let go."""

    def __init__(self, result: Any = "done") -> None:
        self.result = result
        self.has_begun = threading.Event()
        self.may_end = threading.Event()
        self.has_ended = threading.Event()

    def __call__(self) -> Any:
        self.has_begun.set()
        assert self.may_end.wait(10)
        self.has_ended.set()
        return self.result


async def heard(event: threading.Event) -> None:
    with anyio.fail_after(10):
        assert await anyio.to_thread.run_sync(event.wait, 10)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for threads to get there."""
    with anyio.fail_after(10):
        while not condition():
            await anyio.to_thread.run_sync(threading.Event().wait, 0.001)


def threads_of(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"lfr:{name}"]


@asynccontextmanager
async def calls(*made: Call) -> AsyncIterator[Any]:
    """Let every call go at the end, whatever happens, and end the tasks that wait for them."""
    try:
        async with anyio.create_task_group() as tasks:
            try:
                yield tasks
            finally:
                for call in made:
                    call.may_end.set()
    finally:
        for call in made:
            call.may_end.set()


async def test_a_call_runs_in_another_thread_and_its_result_comes_back(clock: VirtualClock) -> None:
    lane = ThreadLane("compute", clock=clock)
    assert await lane.run(sum, (1, 2), deadline_s=1) == 3
    thread = await lane.run(threading.current_thread, deadline_s=1)
    assert thread is not threading.current_thread()
    assert thread.daemon
    assert thread.name == "lfr:compute"
    lane.close()


async def test_an_error_comes_back_as_it_was(clock: VirtualClock) -> None:
    lane = ThreadLane("compute", clock=clock)
    error = ValueError("no")

    def fail() -> None:
        raise error

    with pytest.raises(ValueError, match="no") as caught:
        await lane.run(fail, deadline_s=1)
    assert caught.value is error
    lane.close()


@pytest.mark.parametrize("kind", [SystemExit, StopIteration, KeyboardInterrupt, GeneratorExit])
async def test_nothing_that_a_plugin_raises_kills_the_lane(clock: VirtualClock, kind: type[BaseException]) -> None:
    lane = ThreadLane("compute", clock=clock)

    def fail() -> None:
        raise kind("oh")

    with pytest.raises(PassingError, match=f"{kind.__name__} escaped from a plugin: oh"):
        await lane.run(fail, deadline_s=1)
    assert await lane.run(len, "ab", deadline_s=1) == 2
    lane.close()


async def test_tokens_limit_how_many_calls_run(clock: VirtualClock) -> None:
    lane = ThreadLane("compute", clock=clock, workers=2)
    first, second, third = Call(), Call(), Call()
    async with calls(first, second, third) as tasks:
        for call in (first, second, third):
            tasks.start_soon(lambda call=call: lane.run(call, deadline_s=100))
            await clock.advance()
        await heard(first.has_begun)
        await heard(second.has_begun)
        assert lane.statistics().queued == 1
        assert not third.has_begun.is_set()
        first.may_end.set()
        await heard(third.has_begun)
    assert len(threads_of("compute")) == 2
    lane.close()


async def test_a_token_is_free_only_when_the_call_really_ends(clock: VirtualClock) -> None:
    lane = ThreadLane("compute", clock=clock)
    first, second = Call(), Call()
    async with calls(first, second) as tasks:
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(lambda: lane.run(first, deadline_s=100))
            await clock.advance()
            await heard(first.has_begun)
            waiting.cancel_scope.cancel()
        tasks.start_soon(lambda: lane.run(second, deadline_s=100))
        await clock.advance()
        assert (lane.statistics().queued, second.has_begun.is_set()) == (1, False), "nobody waits, but it runs"
        first.may_end.set()
        await heard(second.has_begun)
    lane.close()


async def test_a_call_past_its_deadline_is_abandoned_and_its_worker_replaced(clock: VirtualClock) -> None:
    lane = ThreadLane("compute", clock=clock)
    hanging = Call()
    errors = []

    async def run() -> None:
        with pytest.raises(CallAbandonedError) as caught:
            await lane.run(hanging, deadline_s=3)
        errors.append(caught.value)

    async with calls(hanging) as tasks:
        tasks.start_soon(run)
        await clock.advance()
        await heard(hanging.has_begun)
        await clock.advance(2.9)
        assert errors == []
        await clock.advance(0.1)
        assert str(errors[0]) == "Call on lane 'compute' did not return within 3 s and was abandoned"
        assert isinstance(errors[0], TimeoutError)
        assert not errors[0].is_permanent
        assert lane.statistics().abandoned == 1
        assert await lane.run(len, "abc", deadline_s=1) == 3
        assert len(threads_of("compute")) == 2
        hanging.may_end.set()
        await until(lambda: len(threads_of("compute")) == 1)
    assert await lane.run(len, "abcd", deadline_s=1) == 4
    assert (lane.statistics().calls, lane.statistics().workers) == (3, 1)
    lane.close()


async def test_a_result_that_comes_too_late_is_discarded(clock: VirtualClock) -> None:
    lane = ThreadLane("compute", clock=clock)
    hanging = Call("late")
    discarded: list[Any] = []
    async with calls(hanging) as tasks:

        async def run() -> None:
            with pytest.raises(CallAbandonedError):
                await lane.run(hanging, deadline_s=3, discard=discarded.append)

        tasks.start_soon(run)
        await clock.advance()
        await heard(hanging.has_begun)
        await clock.advance(3)
        assert discarded == []
        hanging.may_end.set()
        await until(lambda: discarded == ["late"])
    lane.close()


async def test_so_is_one_that_nobody_waits_for_any_more(clock: VirtualClock) -> None:
    lane = ThreadLane("compute", clock=clock)
    call = Call("unwanted")
    discarded: list[Any] = []
    async with calls(call):
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(lambda: lane.run(call, deadline_s=100, discard=discarded.append))
            await clock.advance()
            await heard(call.has_begun)
            waiting.cancel_scope.cancel()
        call.may_end.set()
        await until(lambda: discarded == ["unwanted"])
    assert lane.statistics().abandoned == 0
    lane.close()


async def test_so_is_one_that_arrives_together_with_the_cancellation(clock: VirtualClock) -> None:
    lane = ThreadLane("compute", clock=clock)
    call = Call("both")
    discarded: list[Any] = []
    async with anyio.create_task_group() as waiting:
        waiting.start_soon(lambda: lane.run(call, deadline_s=100, discard=discarded.append))
        await clock.advance()
        call.may_end.set()
        while not lane.statistics().calls:
            pass  # the loop stands still meanwhile, and finds both at once
        waiting.cancel_scope.cancel()
    await until(lambda: discarded == ["both"])
    lane.close()


async def test_nothing_is_discarded_that_was_delivered_or_never_made(clock: VirtualClock) -> None:
    lane = ThreadLane("compute", clock=clock)
    discarded: list[Any] = []

    def fail() -> None:
        raise ValueError

    assert await lane.run(len, "a", deadline_s=1, discard=discarded.append) == 1
    with pytest.raises(ValueError):  # noqa: PT011  (it has no text)
        await lane.run(fail, deadline_s=1, discard=discarded.append)
    assert discarded == []
    lane.close()


async def test_time_in_the_queue_does_not_count(clock: VirtualClock) -> None:
    lane = ThreadLane("compute", clock=clock)
    first, second = Call(), Call()
    ended: list[str] = []

    async def run() -> None:
        try:
            await lane.run(second, deadline_s=2)
        except CallAbandonedError:
            ended.append(f"abandoned at {clock.monotonic_ns() / 1e9:g} s")

    async with calls(first, second) as tasks:
        tasks.start_soon(lambda: lane.run(first, deadline_s=100))
        await clock.advance()
        await heard(first.has_begun)
        tasks.start_soon(run)
        await clock.advance(5)
        assert ended == []
        first.may_end.set()
        await heard(second.has_begun)
        await clock.advance(1.9)
        assert ended == []
        await clock.advance(0.2)
        assert ended == ["abandoned at 7 s"]
    lane.close()


async def test_what_is_cancelled_before_it_begins_never_runs(clock: VirtualClock) -> None:
    lane = ThreadLane("compute", clock=clock)
    first, second = Call(), Call()
    async with calls(first) as tasks:
        tasks.start_soon(lambda: lane.run(first, deadline_s=100))
        await clock.advance()
        await heard(first.has_begun)
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(lambda: lane.run(second, deadline_s=100))
            await clock.advance()
            waiting.cancel_scope.cancel()
        first.may_end.set()
        assert await lane.run(len, "after both", deadline_s=1) == 10
    assert not second.has_begun.is_set()
    assert lane.statistics().calls == 2
    lane.close()


async def test_statistics_count_calls_and_the_time_they_take(clock: VirtualClock) -> None:
    lane = ThreadLane("compute", clock=clock, workers=3)
    call = Call()
    before = lane.statistics()
    async with calls(call) as tasks:
        tasks.start_soon(lambda: lane.run(call, deadline_s=100))
        await clock.advance()
        await heard(call.has_begun)
        await clock.advance(4)
        assert lane.statistics().busy_s == 0, "not before the call has ended"
    after = lane.statistics()
    assert (after.name, after.workers, after.calls, after.busy_s) == ("compute", 3, 1, 4.0)
    assert before.calls == 0
    with pytest.raises(AttributeError):
        after.calls = 2  # type: ignore[misc]
    lane.close()


async def test_a_closed_lane_lets_its_threads_end_and_takes_nothing_more(clock: VirtualClock) -> None:
    lane = ThreadLane("closing", clock=clock, workers=2)
    call = Call()
    async with calls(call) as tasks:
        tasks.start_soon(lambda: lane.run(call, deadline_s=100))
        await clock.advance()
        await heard(call.has_begun)
        lane.close()
        lane.close()
        with pytest.raises(PassingError, match="len on lane 'closing' cannot run: the lane is closed"):
            await lane.run(len, "", deadline_s=1)
        assert not call.has_ended.is_set()
    await until(lambda: not threads_of("closing"))


class Pixels:
    """Stands for an array: can be referred to weakly."""


async def test_a_lane_holds_nothing_between_calls(clock: VirtualClock) -> None:
    lane = ThreadLane("compute", clock=clock)
    alive: list[weakref.ref[Pixels]] = []

    def make(*, fails: bool) -> Pixels:
        pixels = Pixels()
        alive.append(weakref.ref(pixels))
        if fails:
            raise ValueError(pixels)
        return pixels

    gc.disable()
    try:
        await lane.run(lambda: make(fails=False), deadline_s=1)
        with suppress(ValueError):
            await lane.run(lambda: make(fails=True), deadline_s=1)
        await until(lambda: [ref() for ref in alive] == [None, None])
    finally:
        gc.enable()
    lane.close()


HANGING = """
import threading, anyio
from lfr_kernel.runtime import CallAbandonedError, SystemClock, ThreadLane

async def main():
    lane = ThreadLane("hanging", clock=SystemClock())
    try:
        await lane.run(threading.Event().wait, deadline_s=0.01)
    except CallAbandonedError:
        print("abandoned")

anyio.run(main)
"""


def test_a_thread_that_hangs_does_not_keep_the_process() -> None:
    command = [sys.executable, "-c", HANGING]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)  # noqa: S603  (ours)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "abandoned\n", "")
