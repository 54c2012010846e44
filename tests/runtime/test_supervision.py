"""Failure: restart with backoff, the limit, escalation, and what becomes of the messages."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lfr_kernel.runtime import ActorFailed, PassingError, PermanentError, RestartPolicy, State
from runtime.support import (
    Feed,
    Keep,
    KeepEchoes,
    Note,
    Relay,
    Run,
    always,
    is_conserved,
    notes,
    numbers,
    once,
    running,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from lfr_kernel.testing import VirtualClock

pytestmark = pytest.mark.anyio


async def test_the_mailbox_survives_a_restart(clock: VirtualClock) -> None:
    keep = Keep(fails=once(1, ValueError("hiccup")))
    async with running(Feed(notes(*range(5))), keep, clock=clock) as run:
        assert run.actor("keep").state is State.RESTARTING
        assert numbers(keep.handled) == [0]
        assert run.inlet("keep").queued == 3
        await clock.advance(1)
        assert run.ended == "input_ended"
    assert numbers(keep.handled) == [0, 2, 3, 4]
    assert keep.disposed == [(Note(1), "crashed")]
    assert keep.events == ["setup", "teardown", "setup", "finish", "teardown"]
    statistics = run.actor("keep")
    assert (statistics.restarts, statistics.handled, statistics.last_error) == (1, 4, "ValueError: hiccup")
    assert statistics.inlets[0].dropped == {"crashed": 1}
    assert is_conserved(statistics.inlets[0])


async def test_what_fails_is_named_in_the_log(clock: VirtualClock) -> None:
    async with running(Feed(notes(7)), Keep(fails=always(7)), clock=clock) as run:
        (dropped,) = run.logged("message_dropped")
        assert dropped == {"actor": "keep", "message": "Note(number=7, key='')", "why": "ValueError: cannot do 7"}
        (failed,) = run.logged("actor_failed")
        assert (failed["actor"], failed["error"], failed["restart_in_s"]) == ("keep", "ValueError: cannot do 7", 1.0)


async def test_backoff_doubles_up_to_its_bound(clock: VirtualClock) -> None:
    policy = RestartPolicy(max_restarts=99, window_s=1000, backoff_s=1.0, max_backoff_s=5.0, jitter=0.0)
    keep = Keep(fails=lambda _: ValueError("always"))
    began = []

    async def setup() -> None:
        began.append(clock.monotonic_ns() / 1e9)

    keep.setup = setup  # type: ignore[method-assign]
    async with running(Feed(notes(*range(5)), is_endless=True), keep, clock=clock, restarts=policy):
        await clock.advance(60)
    assert [after - before for before, after in pairwise(began)] == [1, 2, 4, 5, 5]


async def test_jitter_lengthens_the_wait_and_comes_from_the_seed(clock: VirtualClock) -> None:
    policy = RestartPolicy(max_restarts=99, window_s=1000, backoff_s=1.0, max_backoff_s=1.0, jitter=0.5)

    async def waits() -> list[float]:
        keep = Keep(fails=lambda _: ValueError("always"))
        async with running(Feed(notes(*range(5)), is_endless=True), keep, clock=clock, restarts=policy) as run:
            await clock.advance(60)
        return [facts["restart_in_s"] for facts in run.logged("actor_failed")]

    first, second = await waits(), await waits()
    assert first == second
    assert len(set(first)) == len(first) == 5
    assert all(1.0 <= wait_s < 1.5 for wait_s in first)


async def test_the_limit_escalates_and_the_rest_is_drained(clock: VirtualClock) -> None:
    relay, echoes = (
        Relay("relay", fails=lambda note: ValueError("no") if note.number >= 2 else None),
        KeepEchoes("echoes"),
    )
    async with running(
        Feed(notes(*range(6)), is_endless=True),
        relay,
        echoes,
        clock=clock,
        restarts=RestartPolicy(max_restarts=2, jitter=0.0),
    ) as run:
        await clock.advance(10)
        assert isinstance(run.failure, ActorFailed)
        assert str(run.failure) == "relay: failed 3 times within 60 s; the last error was: ValueError: no"
        assert run.failure.actor == "relay"
        assert run.failure.is_permanent
    assert numbers(echoes.handled) == [0, 1], "what was made before is handled"
    assert echoes.events == ["setup", "finish", "teardown"]
    statistics = run.actor("relay")
    assert (statistics.state, statistics.restarts) == (State.FAILED, 2)
    assert statistics.inlets[0].dropped == {"crashed": 3, "failed": 1}
    assert relay.disposed == [*((note, "crashed") for note in notes(2, 3, 4)), (Note(5), "failed")]
    assert run.actor("echoes").state is State.STOPPED


async def test_a_permanent_error_escalates_at_once(clock: VirtualClock) -> None:
    keep = Keep(fails=always(1, PermanentError))
    async with running(Feed(notes(0, 1, 2)), keep, clock=clock) as run:
        assert str(run.failure) == "keep: cannot do 1"
    assert run.actor("keep").restarts == 0
    assert keep.disposed == [(Note(1), "crashed"), (Note(2), "failed")]


async def test_the_window_forgets_old_failures(clock: VirtualClock) -> None:
    policy = RestartPolicy(max_restarts=1, window_s=10.0, backoff_s=1.0, jitter=0.0)
    feed = Feed((), is_endless=True)
    async with running(feed, Keep(fails=lambda _: ValueError("no")), clock=clock, restarts=policy) as run:
        for number in range(5):
            await feed.emit(Note(number))
            await clock.advance(10.1)
            assert run.failure is None
        assert run.actor("keep").restarts == 5
        assert {facts["restart_in_s"] for facts in run.logged("actor_failed")} == {1.0}, "each is the first of its row"
        await feed.emit(Note(5))
        await clock.advance(1)
        await feed.emit(Note(6))
        await clock.advance(1)
        assert "failed 2 times within 10 s" in str(run.failure)


async def test_a_failing_setup_counts_as_one_more_failure(clock: VirtualClock) -> None:
    class Stubborn(Keep):
        async def setup(self) -> None:
            await super().setup()
            if len(self.events) > 1 and self.events.count("setup") < 4:
                raise PassingError("not yet")

    keep = Stubborn(fails=once(0, ValueError("hiccup")))
    async with running(Feed(notes(0, 1)), keep, clock=clock) as run:
        await clock.advance(1 + 2)
        assert run.actor("keep").last_error == "not yet"
        assert run.actor("keep").state is State.RESTARTING
        await clock.advance(4)
        assert run.ended == "input_ended"
    assert numbers(keep.handled) == [1]
    assert keep.events == [*["setup", "teardown"] * 3, "setup", "finish", "teardown"], "what failed to begin is closed"


async def test_a_failing_source_is_restarted(clock: VirtualClock) -> None:
    class Flaky(Feed):
        async def produce(self) -> bool:
            if self.waiting and self.waiting[0].number == 2:
                self.waiting.pop(0)
                raise PassingError("lost the camera")
            return await super().produce()

    keep = Keep()
    async with running(Flaky(notes(*range(5))), keep, clock=clock) as run:
        await clock.advance(1)
        assert run.ended == "input_ended"
    assert numbers(keep.handled) == [0, 1, 3, 4]
    assert run.actor("feed").restarts == 1


async def test_a_source_that_waits_for_its_restart_is_stopped_at_once(clock: VirtualClock) -> None:
    class Flaky(Feed):
        async def produce(self) -> bool:
            raise PassingError("lost the camera")

    async with running(
        Flaky(()), Keep(), clock=clock, restarts=RestartPolicy(backoff_s=1000, max_backoff_s=1000)
    ) as run:
        assert run.actor("feed").state is State.RESTARTING
        run.system.stop("test")
        await clock.advance()
        assert run.ended == "test"


async def test_other_workers_finish_what_they_hold(clock: VirtualClock) -> None:
    class Two(Keep):
        concurrency = 2

        async def handle(self, message: Any) -> None:
            if message.number == 0:
                await self.clock.sleep(5)
            await super().handle(message)

    keep = Two(fails=once(1, ValueError("hiccup")))
    async with running(Feed(notes(*range(4))), keep, clock=clock) as run:
        assert run.actor("keep").state is State.RUNNING, "one worker is still at it"
        assert run.inlet("keep").queued == 2, "and nobody begins anything new"
        await clock.advance(5)
        assert numbers(keep.handled) == [0]
        assert run.actor("keep").state is State.RESTARTING
        await clock.advance(1)
        assert run.ended == "input_ended"
    assert numbers(keep.handled) == [0, 2, 3]
    assert keep.disposed == [(Note(1), "crashed")]


async def test_workers_compete_for_messages(clock: VirtualClock) -> None:
    class Three(Keep):
        concurrency = 3

        async def handle(self, message: Any) -> None:
            await self.clock.sleep(1)
            await super().handle(message)

    keep = Three()
    async with running(Feed(notes(*range(6))), keep, clock=clock) as run:
        await clock.advance(1)
        assert len(keep.handled) == 3
        await clock.advance(1)
        assert run.ended == "input_ended"
    assert sorted(numbers(keep.handled)) == list(range(6))


async def test_a_restart_that_was_asked_for_is_no_failure(clock: VirtualClock) -> None:
    keep = Keep()
    keep.gate = anyio.Event()
    async with running(Feed(notes(*range(4)), is_endless=True), keep, clock=clock) as run:
        run.system.address("keep").restart()
        await clock.advance()
        assert keep.events == ["setup"], "it finishes what it holds first"
        keep.gate.set()
        await clock.advance()
        assert keep.events == ["setup", "teardown", "setup"]
        assert numbers(keep.handled) == [0, 1, 2, 3]
        assert run.logged("actor_failed") == []
        assert run.actor("keep").restarts == 1
        run.system.address("feed").restart()
        await clock.advance()
        assert run.actor("feed").state is State.RUNNING


@pytest.mark.parametrize("kind", [SystemExit, asyncio.CancelledError])
async def test_what_is_no_ordinary_error_restarts_like_one(clock: VirtualClock, kind: type[BaseException]) -> None:
    class Odd(Keep):
        async def handle(self, message: Any) -> None:
            if message.number == 1 and self.events.count("setup") == 1:
                raise kind("leaving")
            await super().handle(message)

    keep = Odd()
    async with running(Feed(notes(0, 1, 2)), keep, clock=clock) as run:
        assert run.actor("keep").state is State.RESTARTING
        assert run.actor("keep").last_error == f"{kind.__name__}: leaving"
        await clock.advance(1)
        assert run.ended == "input_ended"
    assert numbers(keep.handled) == [0, 1, 2], "the message was not to blame, and is tried again"


async def test_a_worker_that_waits_does_not_hold_up_the_restart(clock: VirtualClock) -> None:
    class Two(Keep):
        concurrency = 2

    keep = Two(fails=always(0))
    async with running(Feed(notes(0), is_endless=True), keep, clock=clock) as run:
        assert run.actor("keep").state is State.RESTARTING


class Pixels:
    """Stands for an array: can be referred to weakly."""


async def test_an_error_pins_nothing_while_the_actor_waits(clock: VirtualClock) -> None:
    alive: list[weakref.ref[Pixels]] = []

    class Seeing(Keep):
        async def handle(self, message: Any) -> None:
            pixels = Pixels()
            alive.append(weakref.ref(pixels))
            raise ValueError(f"cannot see {message.number}", pixels)

    gc.disable()
    try:
        async with running(Feed(notes(0, 1), is_endless=True), Seeing(), clock=clock) as run:
            assert run.actor("keep").state is State.RESTARTING
            assert [ref() for ref in alive] == [None]
    finally:
        gc.enable()


async def test_nor_does_a_failure_for_good(clock: VirtualClock) -> None:
    alive: list[weakref.ref[Pixels]] = []

    class Seeing(Keep):
        async def handle(self, message: Any) -> None:
            pixels = Pixels()
            alive.append(weakref.ref(pixels))
            raise PermanentError(f"cannot see {message.number}")

    async with running(Feed(notes(0), is_endless=True), Seeing(), clock=clock) as run:
        assert isinstance(run.failure, ActorFailed)
        gc.collect()
        assert [ref() for ref in alive] == [None]


async def test_nor_does_what_was_cut_short(clock: VirtualClock) -> None:
    alive: list[weakref.ref[Pixels]] = []

    class Seeing(Keep):
        async def handle(self, message: Any) -> None:
            pixels = Pixels()
            alive.append(weakref.ref(pixels))
            await super().handle(message)

    keep = Seeing()
    keep.gate = anyio.Event()
    async with running(Feed(notes(0), is_endless=True), keep, clock=clock, drain_s=1) as run:
        run.system.stop("test")
        await clock.advance(1)
        assert run.ended == "test"
        gc.collect()
        assert [ref() for ref in alive] == [None]


# ---- batches ------------------------------------------------------------------------------------------------------


class Batching(Keep):
    max_batch = 4

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.batches: list[list[int]] = []

    async def handle_batch(self, messages: Sequence[Any]) -> None:
        self.batches.append(numbers(messages))
        await super().handle_batch(messages)


@asynccontextmanager
async def filled(keep: Batching, count: int, *, clock: VirtualClock) -> AsyncIterator[Run]:
    """Let the first message occupy the actor until all others wait."""
    feed = Feed((), is_endless=True)
    keep.gate = anyio.Event()
    async with running(feed, keep, clock=clock) as run:
        for note in notes(*range(count)):
            await feed.emit(note)
            await clock.advance()
        keep.gate.set()
        await clock.advance()
        yield run


async def test_messages_that_wait_come_together(clock: VirtualClock) -> None:
    keep = Batching()
    async with filled(keep, 9, clock=clock) as run:
        assert keep.batches == [[0], [1, 2, 3, 4], [5, 6, 7, 8]]
        assert run.actor("keep").handled == 9


async def test_a_failing_batch_is_tried_again_one_by_one_and_what_fails_alone_is_dropped(clock: VirtualClock) -> None:
    keep = Batching(fails=always(2))
    async with filled(keep, 9, clock=clock) as run:
        assert keep.batches == [[0], [1, 2, 3, 4]]
        assert numbers(keep.handled) == [0, 1]
        keep.handled.clear()
        assert keep.disposed == []
        await clock.advance(1)
        assert keep.batches[2:] == [[1], [2]]
        assert keep.disposed == [(Note(2), "crashed")]
        assert [facts["message"] for facts in run.logged("message_dropped")] == ["Note(number=2, key='')"]
        await clock.advance(2)
        assert keep.batches[4:] == [[3], [4], [5, 6, 7, 8]], "the last of the failed batch is alone, too"
        assert numbers(keep.handled) == [1, 3, 4, 5, 6, 7, 8]
        assert run.inlet("keep").dropped == {"crashed": 1}
        assert is_conserved(run.inlet("keep"))


async def test_a_batch_of_one_that_fails_is_not_tried_again(clock: VirtualClock) -> None:
    keep = Batching(fails=always(0))
    async with running(Feed(notes(0), is_endless=True), keep, clock=clock) as run:
        await clock.advance(10)
        assert keep.batches == [[0]]
        assert run.actor("keep").restarts == 1


async def test_what_is_to_be_tried_again_dies_with_the_actor(clock: VirtualClock) -> None:
    keep = Batching(fails=always(2, PermanentError))
    async with filled(keep, 5, clock=clock) as run:
        assert isinstance(run.failure, ActorFailed)
    assert keep.disposed == [(note, "failed") for note in notes(1, 2, 3, 4)]
    assert is_conserved(run.inlet("keep"))
