"""Starting, ending, stopping, draining."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lfr_kernel.runtime import (
    Actor,
    ActorStopped,
    Consumes,
    Edge,
    Overflow,
    PassingError,
    PermanentError,
    Policy,
    State,
    System,
    ThreadLane,
)
from runtime.support import Echo, Feed, Keep, KeepEchoes, Note, Relay, Run, is_conserved, notes, numbers, running

if TYPE_CHECKING:
    from lfr_kernel.testing import VirtualClock

pytestmark = pytest.mark.anyio


class Diary:
    """Who did what, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def follow(self, *actors: Actor) -> None:
        for actor in actors:
            for hook in ("setup", "finish", "teardown"):
                self._wrap(actor, hook)

    def _wrap(self, actor: Actor, hook: str) -> None:
        original = getattr(actor, hook)

        async def noted() -> None:
            self.lines.append(f"{actor.name} {hook}")
            await original()

        setattr(actor, hook, noted)


async def test_consumers_start_before_producers_and_end_after_them(clock: VirtualClock) -> None:
    actors = [Feed(notes(1, 2)), Relay("relay"), KeepEchoes("echoes")]
    diary = Diary()
    diary.follow(*actors)
    assert await Run(actors, clock).to_the_end() == "input_ended"
    assert diary.lines == [
        *("echoes setup", "relay setup", "feed setup"),
        *("feed finish", "feed teardown"),
        *("relay finish", "relay teardown"),
        *("echoes finish", "echoes teardown"),
    ]


async def test_a_normal_end_handles_everything(clock: VirtualClock) -> None:
    keep = KeepEchoes("echoes")
    run = Run([Feed(notes(*range(100))), Relay("relay"), keep], clock)
    assert await run.to_the_end() == "input_ended"
    assert numbers(keep.handled) == list(range(100))
    assert keep.disposed == []
    assert [actor.state for actor in run.system.statistics().actors] == [State.STOPPED] * 3
    assert run.inlet("echoes").handled == run.actor("echoes").handled == 100


async def test_a_failed_first_setup_reaches_the_starter_as_it_was(clock: VirtualClock) -> None:
    cause, error = OSError("no such file"), PermanentError("the model is not there: put it there")

    class Broken(Keep):
        async def setup(self) -> None:
            raise error from cause

    feed, echoes = Feed(notes(1)), KeepEchoes("echoes")
    relay = Relay("relay")
    relay.setup = Broken("relay").setup  # type: ignore[method-assign]
    run = Run([feed, relay, echoes], clock)
    await run.to_the_end()
    assert run.failure is error
    assert error.__cause__ is cause
    assert relay.events == echoes.events[1:] == ["teardown"], "everyone is torn down, the failed one too"
    assert feed.waiting == notes(1), "its producer never began"


async def test_started_is_reported_when_everyone_is_ready(clock: VirtualClock) -> None:
    ready = anyio.Event()

    class Slow(Keep):
        async def setup(self) -> None:
            await ready.wait()

    run = Run([Feed(notes(1)), Slow()], clock)
    is_started = False
    async with anyio.create_task_group() as tasks:

        async def start() -> None:
            nonlocal is_started
            await tasks.start(run.run)
            is_started = True

        tasks.start_soon(start)
        await clock.advance(100)
        assert not is_started
        assert run.actor("keep").state is State.STARTING
        ready.set()
    assert is_started


async def test_stop_drains_from_the_sources_downwards(clock: VirtualClock) -> None:
    keep = Keep()
    keep.gate = anyio.Event()
    async with running(Feed(notes(*range(5)), is_endless=True), keep, clock=clock) as run:
        run.system.stop("duration")
        run.system.stop("something else, later")
        await clock.advance(4.9)
        assert run.ended is None
        keep.gate.set()
        await clock.advance()
        assert run.ended == "duration"
    assert numbers(keep.handled) == [0, 1, 2, 3, 4], "all that was queued has been handled"
    assert keep.events == ["setup", "finish", "teardown"]


async def test_a_source_is_cancelled_where_it_waits_and_loses_only_what_it_holds(clock: VirtualClock) -> None:
    keep, feed = Keep(), Feed(notes(*range(20)))
    keep.gate = anyio.Event()
    async with running(feed, keep, clock=clock) as run:
        run.system.stop("test")
        await clock.advance()
        keep.gate.set()
        await clock.advance()
        assert run.ended == "test"
    assert numbers(keep.handled) == list(range(9)), "one in hand, eight in the inlet"
    assert keep.disposed == [(Note(9), "stopped")]
    assert numbers(feed.waiting) == list(range(10, 20))
    assert is_conserved(run.inlet("keep"))


async def test_the_drain_limit_cuts_short_and_the_rest_is_disposed_of(clock: VirtualClock) -> None:
    keep = Keep()
    keep.gate = anyio.Event()
    async with running(Feed(notes(*range(5)), is_endless=True), keep, clock=clock, drain_s=3.0) as run:
        run.system.stop("test")
        await clock.advance(2.9)
        assert run.ended is None
        await clock.advance(0.1)
        assert run.ended == "test"
    assert keep.handled == []
    assert keep.disposed == [(note, "stopped") for note in notes(*range(5))], "the one in its hands, too"
    assert keep.events == ["setup", "teardown"]
    assert run.inlet("keep").dropped == {"stopped": 5}
    assert is_conserved(run.inlet("keep"))


async def test_a_batch_in_hand_is_disposed_of_when_the_drain_is_cut_short(clock: VirtualClock) -> None:
    keep = Keep()
    keep.max_batch, keep.gate = 3, anyio.Event()
    async with running(Feed(notes(*range(5)), is_endless=True), keep, clock=clock, drain_s=1.0) as run:
        run.system.stop("test")
        await clock.advance(1)
        assert run.ended == "test"
    assert keep.disposed == [(note, "stopped") for note in notes(*range(5))]
    assert is_conserved(run.inlet("keep"))


async def test_teardown_is_shielded_but_not_for_ever(clock: VirtualClock) -> None:
    class Clinging(Keep):
        async def teardown(self) -> None:
            self.events.append("teardown begins")
            await self.clock.sleep(self.number)
            self.events.append("teardown ends")

    for seconds, ending in ((1.9, ["teardown ends"]), (2.1, [])):
        keep = Clinging()
        keep.number = seconds  # type: ignore[attr-defined]
        keep.gate = anyio.Event()
        async with running(Feed(notes(1), is_endless=True), keep, clock=clock, drain_s=1.0) as run:
            run.system.stop("test")
            await clock.advance(1.0)
            assert run.ended is None
            await clock.advance(2.0)
            assert run.ended == "test"
        assert keep.events == ["setup", "teardown begins", *ending]
        assert bool(run.logged("teardown_cut_short")) is not bool(ending)


async def test_a_failing_teardown_or_finish_is_logged_and_changes_nothing(clock: VirtualClock) -> None:
    class Careless(Keep):
        async def finish(self) -> None:
            raise ValueError("finish was careless")

        async def teardown(self) -> None:
            raise ValueError("teardown was careless")

    run = Run([Feed(notes(1)), Careless()], clock)
    assert await run.to_the_end() == "input_ended"
    assert [facts["hook"] for facts in run.logged("hook_failed")] == ["finish", "teardown"]
    assert run.actor("keep").last_error == "ValueError: teardown was careless"


async def test_a_failing_disposal_is_logged_and_spares_the_producer(clock: VirtualClock) -> None:
    class Careless(Keep):
        consumes = (Consumes(message=Note, policy=Policy(overflow=Overflow.DROP_OLDEST, capacity=1)),)

        async def dispose(self, message: Any, reason: str) -> None:
            await super().dispose(message, reason)
            raise ValueError("cannot dispose")

    keep, feed = Careless(), Feed((), is_endless=True)
    keep.gate = anyio.Event()
    async with running(feed, keep, clock=clock) as run:
        for note in notes(0, 1, 2):
            assert await feed.emit(note)
            await clock.advance()
        assert keep.disposed == [(Note(1), "overflow")]
        assert run.logged("hook_failed") == [
            {"actor": "keep", "hook": "dispose", "error": "ValueError: cannot dispose"}
        ]


async def test_feedback_does_not_keep_an_actor_alive(clock: VirtualClock) -> None:
    class Looping(Relay):
        consumes = (
            *Relay.consumes,
            Consumes(message=Echo, policy=Policy(overflow=Overflow.DROP_OLDEST, capacity=8), feedback=True),
        )

        async def handle(self, message: Any) -> None:
            self.handled.append(message)
            if isinstance(message, Note):
                await self.emit(Echo(message.number))

    loop = Looping("loop")
    assert await Run([Feed(notes(1, 2)), loop], clock).to_the_end() == "input_ended"
    assert sorted(numbers(loop.handled)) == [1, 1, 2, 2], "what has come back in time is handled all the same"


async def test_services_end_last(clock: VirtualClock) -> None:
    class Service(Keep):
        consumes = ()

        async def answer(self, request: Any) -> Any:
            return f"{request}, to the end"

    class Asking(Keep):
        async def finish(self) -> None:
            self.handled.append(await run.system.address("service").ask("here", deadline_s=1))

    service, keep = Service("service"), Asking()
    run = Run([service, Feed(notes(1)), keep], clock)
    assert await run.to_the_end() == "input_ended"
    assert keep.handled == [Note(1), "here, to the end"]
    assert service.events == ["setup", "teardown"]


async def test_a_system_stopped_before_it_runs_starts_and_stops(clock: VirtualClock) -> None:
    keep = Keep()
    run = Run([Feed(notes(1), is_endless=True), keep], clock)
    run.system.stop("early")
    assert await run.to_the_end() == "early"
    assert keep.events == ["setup", "finish", "teardown"]


async def test_a_system_that_is_cancelled_still_tears_down(clock: VirtualClock) -> None:
    keep = Keep()
    keep.gate = anyio.Event()
    async with running(Feed(notes(1, 2), is_endless=True), keep, clock=clock) as run:
        address = run.system.address("keep")
    assert keep.events == ["setup", "teardown"]
    assert keep.disposed == [(Note(1), "stopped"), (Note(2), "stopped")]
    with pytest.raises(ActorStopped, match="keep"):
        await address.ask("anything", deadline_s=1)


async def test_lanes_are_closed_at_the_end_and_shown(clock: VirtualClock) -> None:
    lane = ThreadLane("store", clock=clock)
    run = Run([Feed(notes(1)), Keep()], clock, lanes=[lane])
    await run.to_the_end()
    (shown,) = run.system.statistics().lanes
    assert (shown.name, shown.workers) == ("store", 1)
    with pytest.raises(PassingError, match="len on lane 'store' cannot run: the lane is closed"):
        await lane.run(len, (), deadline_s=1)


async def test_each_consumer_gets_every_message_in_a_mailbox_of_its_own(clock: VirtualClock) -> None:
    first, second = Keep("first"), Keep("second", fails=lambda note: ValueError("no") if note.number == 1 else None)
    run = Run([Feed(notes(0, 1, 2)), first, second], clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run.run)
        await clock.advance(1)
    assert numbers(first.handled) == [0, 1, 2]
    assert numbers(second.handled) == [0, 2]


async def test_emit_says_whether_anybody_dropped_the_message(clock: VirtualClock) -> None:
    taken = []

    class Telling(Feed):
        async def emit(self, message: Any) -> bool:
            taken.append(await super().emit(message))
            return taken[-1]

    class Impatient(Keep):
        consumes = (Consumes(message=Note, policy=Policy(capacity=1, patience_s=1.0)),)

    impatient, patient = Impatient("impatient"), Keep("patient")
    impatient.gate = anyio.Event()
    async with running(Telling(notes(0, 1, 2), is_endless=True), impatient, patient, clock=clock):
        await clock.advance(1)
        assert taken == [True, True, False]
        assert numbers(patient.handled) == [0, 1, 2]


async def test_two_actors_of_one_name_are_refused(clock: VirtualClock) -> None:
    with pytest.raises(ValueError, match=r"names of actors must differ, got \['keep', 'keep'\]"):
        System([Keep(), Keep()], [], clock=clock)


async def test_an_edge_needs_both_its_ends(clock: VirtualClock) -> None:
    edge = Edge(producer="feed", consumer="nobody", message=Note, policy=Policy())
    with pytest.raises(KeyError, match="nobody"):
        System([Feed(())], [edge], clock=clock)
