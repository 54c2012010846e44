"""What the kernel offers to tests: the clock, the lane, and one actor on its own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from lfr_kernel import testing
from lfr_kernel.runtime import (
    ActorFailed,
    CallAbandonedError,
    PassingError,
    PermanentError,
    State,
    ThreadLane,
)
from lfr_kernel.testing import InlineLane, VirtualClock, run_actor
from runtime.support import Echo, Feed, Keep, Note, Relay, always, notes, numbers

if TYPE_CHECKING:
    from lfr_kernel.runtime import Clock, Lane

pytestmark = pytest.mark.anyio


def test_what_is_promised_is_there() -> None:
    assert set(testing.__all__) >= {"ActorRun", "InlineLane", "VirtualClock", "run_actor"}
    assert all(hasattr(testing, name) for name in testing.__all__)


def test_they_keep_the_contracts() -> None:
    clock: Clock = VirtualClock()
    lane: Lane = InlineLane(clock=clock)
    assert (clock.monotonic_ns(), lane.name) == (0, "inline")


async def test_time_stands_still_until_told(clock: VirtualClock) -> None:
    before = clock.monotonic_ns(), clock.utc_ns()
    await clock.advance()
    assert (clock.monotonic_ns(), clock.utc_ns()) == before
    await clock.advance(1.5)
    assert clock.monotonic_ns() - before[0] == clock.utc_ns() - before[1] == 1_500_000_000


async def test_sleepers_wake_in_order_and_at_their_time(clock: VirtualClock) -> None:
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *naps: float) -> None:
        for seconds in naps:
            await clock.sleep(seconds)
            woken.append((name, clock.monotonic_ns() / 1e9))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sleeper, "a", 2, 2, -1)
        tasks.start_soon(sleeper, "b", 3, 0)
        await clock.advance(2.5)
        assert woken == [("a", 2)]
        await clock.advance(10)
    assert woken == [("a", 2), ("b", 3), ("b", 3), ("a", 4), ("a", 4)]


async def test_deadlines_pass_in_virtual_time(clock: VirtualClock) -> None:
    caught: list[bool] = []

    async def wait(limit_s: float | None, sleep_s: float) -> None:
        with clock.move_on_after(limit_s) as scope:
            await clock.sleep(sleep_s)
        caught.append(scope.cancelled_caught)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, 2, 3)
        await clock.advance(1.9)
        assert caught == []
        await clock.advance(0.1)
        assert caught == [True]
        for limit_s in (2, None, math.inf):
            tasks.start_soon(wait, limit_s, 1)
        await clock.advance(1)
        assert caught == [True, False, False, False]
        tasks.start_soon(wait, 0, 1)
        await clock.advance()
        assert caught[-1]


async def test_the_wall_clock_can_jump_alone(clock: VirtualClock) -> None:
    monotonic, utc = clock.monotonic_ns(), clock.utc_ns()
    clock.jump_utc(-3600)
    assert (clock.monotonic_ns(), clock.utc_ns() - utc) == (monotonic, -3600 * 10**9)


async def test_a_task_that_never_waits_is_reported(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lfr_kernel.testing.clock.MOST_ROUNDS", 100)

    async def spin() -> None:
        while True:
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(spin)
        with pytest.raises(RuntimeError, match="one of them never waits"):
            await clock.advance()
        tasks.cancel_scope.cancel()


async def test_the_inline_lane_calls_at_once_and_counts() -> None:
    lane = InlineLane("store", workers=2)
    assert await lane.run(max, 1, 2, deadline_s=1) == 2
    statistics = lane.statistics()
    assert (statistics.name, statistics.workers, statistics.calls, statistics.abandoned) == ("store", 2, 1, 0)


async def test_the_inline_lane_fails_and_hangs_where_told(clock: VirtualClock) -> None:
    lane = InlineLane(clock=clock, fail_at={2: PassingError("full")}, hang_at=[3])
    made: list[int] = []
    await lane.run(made.append, 1, deadline_s=1)
    with pytest.raises(PassingError, match="full"):
        await lane.run(made.append, 2, deadline_s=1)
    async with anyio.create_task_group() as tasks:

        async def hang() -> None:
            with pytest.raises(CallAbandonedError, match="call 3 on lane 'inline' was told to hang"):
                await lane.run(made.append, 3, deadline_s=5)
            made.append(-3)

        tasks.start_soon(hang)
        await clock.advance(4.9)
        assert made == [1]
        await clock.advance(0.1)
        assert made == [1, -3]
    assert lane.statistics().abandoned == 1


async def test_the_inline_lane_lets_no_system_exit_through() -> None:
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(PassingError, match="SystemExit escaped from a plugin: 3"):
        await InlineLane().run(leave, deadline_s=1)


async def test_an_actor_on_its_own() -> None:
    async with run_actor(Relay("relay")) as run:
        assert await run.send(Note(1))
        assert await run.next(Echo) == Echo(1)
        await run.send(Note(2))
        await run.settle()
        assert run.emitted(Echo) == (Echo(1), Echo(2))
        assert run.statistics().state is State.RUNNING
    assert run.ended == "test"
    assert run.actor.events == ["setup", "finish", "teardown"]  # type: ignore[attr-defined]


async def test_what_was_sent_is_handled_when_the_body_ends() -> None:
    keep = Keep()
    async with run_actor(keep) as run:
        for note in notes(*range(8)):
            await run.send(note)
    assert numbers(keep.handled) == list(range(8))


async def test_time_passes_at_the_end_so_that_nothing_hangs() -> None:
    keep = Keep()
    keep.gate = anyio.Event()
    async with run_actor(keep, drain_s=2.0) as run:
        await run.send(Note(0))
    assert keep.disposed == [(Note(0), "stopped")]
    assert run.clock.monotonic_ns() >= 2e9


async def test_a_service_on_its_own() -> None:
    class Service(Keep):
        consumes = ()
        tick_s = 1.0

        async def tick(self) -> None:
            self.events.append("tick")

    service = Service()
    async with run_actor(service) as run:
        await run.clock.advance(2)
    assert service.events == ["setup", "tick", "tick", "teardown"]


async def test_a_source_on_its_own() -> None:
    async with run_actor(Feed(notes(1, 2, 3))) as run:
        await run.wait()
        assert run.ended == "input_ended"
    assert numbers(run.emitted(Note)) == [1, 2, 3]


async def test_a_failing_setup_is_raised_as_it_was() -> None:
    class Broken(Keep):
        async def setup(self) -> None:
            raise PermanentError("no model")

    with pytest.raises(PermanentError, match="no model"):
        async with run_actor(Broken()):
            pytest.fail("it has not started")


async def test_a_failure_for_good_is_raised_at_the_end() -> None:
    logged: list[str] = []

    async def fail() -> None:
        async with run_actor(Keep(fails=always(1, PermanentError))) as run:
            await run.send(Note(1))
            await run.wait()
            logged.extend(event for event, _ in run.log)

    with pytest.raises(ActorFailed, match="keep: cannot do 1"):
        await fail()
    assert logged == ["message_dropped", "actor_failed"]


async def test_what_the_body_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        async with run_actor(Keep()):
            _ = 1 / 0


async def test_an_actor_can_be_asked_and_restarted() -> None:
    class Answering(Keep):
        async def answer(self, request: Any) -> Any:
            return len(self.events), request

    async with run_actor(Answering()) as run:
        assert await run.ask("before") == (1, "before")
        run.restart()
        await run.settle()
        assert await run.ask("after") == (3, "after")


async def test_threads_get_the_time_they_need() -> None:
    clock = VirtualClock()
    lane = ThreadLane("store", clock=clock)

    class Storing(Keep):
        async def handle(self, message: Any) -> None:
            self.handled.append(await lane.run(abs, message.number, deadline_s=1))

    keep = Storing()
    async with run_actor(keep, clock=clock, lanes=[lane]) as run:
        for number in range(5):
            await run.send(Note(-number))
    assert keep.handled == [0, 1, 2, 3, 4]
