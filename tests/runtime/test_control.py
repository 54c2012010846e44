"""The control lane: questions, answers, ticks; and that nobody is starved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lfr_kernel.runtime import Actor, ActorError, ActorStopped, AskTimeoutError, Consumes, Policy, State
from lfr_kernel.runtime.supervisor import FAIR_MESSAGES
from runtime.support import Feed, Keep, Note, notes, numbers, running

if TYPE_CHECKING:
    from lfr_kernel.testing import VirtualClock

pytestmark = pytest.mark.anyio


class Answering(Keep):
    async def answer(self, request: Any) -> Any:
        match request:
            case "fail":
                raise ValueError("no idea")
            case "refuse":
                raise ActorError(self.name, "will not say")
            case float():
                await self.clock.sleep(request)
            case str():
                return await super().answer(request)
        self.events.append(f"answered {request}")
        return request


async def test_an_answer_comes_back(clock: VirtualClock) -> None:
    async with running(Feed((), is_endless=True), Answering(), clock=clock) as run:
        assert await run.system.address("keep").ask(1, deadline_s=1) == 1


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ("fail", "keep: ValueError: no idea"),
        ("refuse", "keep: will not say"),
        ("wipe", "keep: does not understand str"),
    ],
)
async def test_a_failing_answer_reaches_the_asker_as_text_and_nobody_else(
    clock: VirtualClock, request_: str, text: str
) -> None:
    async with running(Feed((), is_endless=True), Answering(), clock=clock) as run:
        with pytest.raises(ActorError) as caught:
            await run.system.address("keep").ask(request_, deadline_s=1)
        assert str(caught.value) == text
        assert caught.value.actor == "keep"
        assert (run.actor("keep").restarts, run.actor("keep").state) == (0, State.RUNNING)


async def test_an_answer_that_takes_too_long_is_not_waited_for(clock: VirtualClock) -> None:
    keep = Answering()
    async with running(Feed((), is_endless=True), keep, clock=clock) as run, anyio.create_task_group() as tasks:
        errors: list[AskTimeoutError] = []

        async def ask() -> None:
            with pytest.raises(AskTimeoutError) as caught:
                await run.system.address("keep").ask(3.0, deadline_s=2.5)
            errors.append(caught.value)

        tasks.start_soon(ask)
        await clock.advance(2.5)
        assert str(errors[0]) == "keep: did not answer within 2.5 s"
        assert isinstance(errors[0], TimeoutError)
        await clock.advance(1)
        assert keep.events == ["setup", "answered 3.0"], "it has begun, and is done; nobody is disturbed"
        assert await run.system.address("keep").ask(1, deadline_s=1) == 1


async def test_a_question_that_was_given_up_is_not_answered_any_more(clock: VirtualClock) -> None:
    keep = Answering()
    keep.gate = anyio.Event()
    async with running(Feed(notes(0), is_endless=True), keep, clock=clock) as run, anyio.create_task_group() as tasks:

        async def ask() -> None:
            with pytest.raises(AskTimeoutError):
                await run.system.address("keep").ask(1, deadline_s=1)

        tasks.start_soon(ask)
        await clock.advance(1)
        keep.gate.set()
        await clock.advance()
        assert keep.events == ["setup"]


async def test_whoever_asks_an_actor_that_ends_is_told_so(clock: VirtualClock) -> None:
    keep = Answering()
    keep.gate = anyio.Event()
    async with running(Feed(notes(0), is_endless=True), keep, clock=clock, drain_s=1) as run:
        errors = []

        async def ask(request: Any) -> None:
            with pytest.raises(ActorStopped) as caught:
                await run.system.address("keep").ask(request, deadline_s=100)
            errors.append(str(caught.value))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, 1)
            tasks.start_soon(ask, 2)
            await clock.advance()
            run.system.stop("test")
            await clock.advance(1)
        assert errors == ["keep: stopped before it answered"] * 2
        await ask(3)
        assert errors[-1] == "keep: has stopped already"


async def test_so_is_whoever_was_being_answered(clock: VirtualClock) -> None:
    async with running(Feed((), is_endless=True), Answering(), clock=clock, drain_s=1) as run:

        async def ask() -> None:
            with pytest.raises(ActorStopped, match="keep: stopped before it answered"):
                await run.system.address("keep").ask(50.0, deadline_s=100)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await clock.advance()
            run.system.stop("test")
            await clock.advance(1)


async def test_control_comes_before_data(clock: VirtualClock) -> None:
    class Noting(Answering):
        async def handle(self, message: Any) -> None:
            await super().handle(message)
            self.events.append(f"handled {message.number}")

    keep = Noting()
    keep.gate = anyio.Event()
    async with running(Feed(notes(*range(5)), is_endless=True), keep, clock=clock) as run:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: run.system.address("keep").ask(1, deadline_s=1))
            await clock.advance()
            keep.gate.set()
        await clock.advance()
    assert keep.events[1:4] == ["handled 0", "answered 1", "handled 1"]


async def test_control_comes_before_what_is_tried_again(clock: VirtualClock) -> None:
    class Noting(Answering):
        max_batch = 4

        async def handle(self, message: Any) -> None:
            await super().handle(message)
            self.events.append(f"handled {message.number}")

    errors = [ValueError("hiccup")]
    keep = Noting(fails=lambda note: errors.pop() if note.number == 1 and errors else None)
    keep.gate = anyio.Event()
    feed = Feed((), is_endless=True)
    async with running(feed, keep, clock=clock) as run:
        for note in notes(*range(4)):
            await feed.emit(note)
            await clock.advance()
        keep.gate.set()
        await clock.advance()
        assert run.actor("keep").state is State.RESTARTING
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: run.system.address("keep").ask(1, deadline_s=10))
            await clock.advance(1)
    assert keep.events == [
        "setup",
        "handled 0",
        "teardown",
        "setup",
        "answered 1",
        "handled 1",
        "handled 2",
        "handled 3",
        "teardown",
    ]


async def test_a_source_answers_between_messages(clock: VirtualClock) -> None:
    class Ticking(Feed):
        async def produce(self) -> bool:
            await self.clock.sleep(1)
            return True

        async def answer(self, request: Any) -> Any:
            return request

    async with running(Ticking(()), Keep(), clock=clock) as run, anyio.create_task_group() as tasks:
        answers = []

        async def ask() -> None:
            answers.append(await run.system.address("feed").ask("well?", deadline_s=2))

        tasks.start_soon(ask)
        await clock.advance(0.9)
        assert answers == []
        await clock.advance(0.1)
        assert answers == ["well?"]


# ---- ticks --------------------------------------------------------------------------------------------------------


class Ticking(Keep):
    tick_s = 10.0

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.ticks: list[float] = []

    async def tick(self) -> None:
        self.ticks.append(self.clock.monotonic_ns() / 1e9)


async def test_ticks_come_in_their_period(clock: VirtualClock) -> None:
    keep = Ticking()
    async with running(Feed((), is_endless=True), keep, clock=clock):
        await clock.advance(35)
        assert keep.ticks == [10, 20, 30]


async def test_a_service_without_input_ticks_too(clock: VirtualClock) -> None:
    class Service(Ticking):
        consumes = ()

    service = Service(name="service")
    async with running(service, Feed((), is_endless=True), Keep(), clock=clock):
        await clock.advance(20)
        assert service.ticks == [10, 20]


async def test_ticks_do_not_pile_up(clock: VirtualClock) -> None:
    keep = Ticking()
    keep.gate = anyio.Event()
    async with running(Feed(notes(0), is_endless=True), keep, clock=clock):
        await clock.advance(55)
        keep.gate.set()
        await clock.advance()
        assert keep.ticks == [55]
        await clock.advance(10)
        assert keep.ticks == [55, 65]


async def test_ticks_are_not_behind_data(clock: VirtualClock) -> None:
    class Noting(Ticking):
        async def handle(self, message: Any) -> None:
            await super().handle(message)
            await self.clock.sleep(4)

    keep = Noting()
    async with running(Feed(notes(*range(20)), is_endless=True), keep, clock=clock):
        await clock.advance(40)
        assert keep.ticks == [12, 24, 36]


async def test_a_failing_tick_restarts_the_actor(clock: VirtualClock) -> None:
    class Failing(Ticking):
        async def tick(self) -> None:
            await super().tick()
            if len(self.ticks) == 1:
                raise ValueError("no")

    keep = Failing()
    async with running(Feed((), is_endless=True), keep, clock=clock) as run:
        await clock.advance(10)
        assert run.actor("keep").state is State.RESTARTING
        await clock.advance(11)
        assert keep.ticks == [10, 21]


# ---- fairness -----------------------------------------------------------------------------------------------------


class Eager(Actor):
    """Never waits."""

    consumes = (Consumes(message=Note, policy=Policy(capacity=1000)),)

    def __init__(self, name: str, order: list[str]) -> None:
        super().__init__(name)
        self.order = order
        self.gate = anyio.Event()

    async def setup(self) -> None:
        await self.gate.wait()

    async def handle(self, message: Note) -> None:  # noqa: ARG002
        self.order.append(self.name)


async def fill(clock: VirtualClock, *actors: Eager) -> None:
    """Let all of them begin at once, with 300 messages each."""
    feed = Feed((), is_endless=True)
    for actor in actors:
        actor.gate.set()
    async with running(feed, *actors, clock=clock):
        for note in notes(*range(300)):
            await feed.emit(note)
        await clock.advance()


async def test_a_busy_actor_lets_others_in_after_64_messages(clock: VirtualClock) -> None:
    order: list[str] = []
    await fill(clock, Eager("a", order), Eager("b", order))
    assert len(order) == 600
    first = order[0]
    assert FAIR_MESSAGES == 64
    assert order.index("b" if first == "a" else "a") == 64


async def test_or_after_2_ms(clock: VirtualClock) -> None:
    order: list[str] = []

    class Slow(Eager):
        async def handle(self, message: Note) -> None:
            await super().handle(message)
            clock._now_ns += 500_000

    await fill(clock, Slow("a", order), Slow("b", order))
    other = "b" if order[0] == "a" else "a"
    assert order[:12] == [order[0]] * 4 + [other] * 4 + [order[0]] * 4


async def test_a_source_that_never_waits_starves_nobody(clock: VirtualClock) -> None:
    class Spring(Feed):
        def __init__(self) -> None:
            super().__init__(())
            self.made = 0

        async def produce(self) -> bool:
            self.made += 1
            return self.made < 1000

    spring, keep = Spring(), Keep()
    seen = []
    async with running(spring, keep, Feed(notes(1), name="other"), clock=clock):
        seen.append(spring.made)
    assert numbers(keep.handled) == [1]
