"""Actors that do as they are told, for the tests of the runtime."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
from msgspec import Struct

from lfr_kernel.runtime import Actor, Consumes, Edge, Overflow, Policy, RestartPolicy, Source, System

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from lfr_kernel.runtime import ActorStatistics, InletStatistics
    from lfr_kernel.testing import VirtualClock

QUICK = RestartPolicy(backoff_s=1.0, jitter=0.0, max_backoff_s=1000.0)


class Note(Struct, frozen=True):
    """A message."""

    number: int
    key: str = ""


class Echo(Struct, frozen=True):
    """What `Relay` makes of a note."""

    number: int


def notes(*numbers: int) -> list[Note]:
    return [Note(number) for number in numbers]


def numbers(messages: Iterable[Any]) -> list[int]:
    return [message.number for message in messages]


class Feed(Source):
    """Emits what it was given, one message a turn, and ends; or waits for ever after that."""

    produces = (Note,)

    def __init__(self, messages: Iterable[Any], *, name: str = "feed", is_endless: bool = False) -> None:
        super().__init__(name)
        self.waiting = list(messages)
        self.is_endless = is_endless

    async def produce(self) -> bool:
        if self.waiting:
            await self.emit(self.waiting.pop(0))
        elif self.is_endless:
            await anyio.sleep_forever()
        return self.is_endless or bool(self.waiting)


class Keep(Actor):
    """Keeps what it handles, and fails where it is told to."""

    consumes = (Consumes(message=Note, policy=Policy(capacity=8)),)

    def __init__(self, name: str = "keep", *, fails: Callable[[Any], Exception | None] = lambda _: None) -> None:
        super().__init__(name)
        self.fails = fails
        self.events: list[str] = []
        self.handled: list[Any] = []
        self.disposed: list[tuple[Any, str]] = []
        self.gate: anyio.Event | None = None
        """Set it, and `handle` waits for it."""

    async def setup(self) -> None:
        self.events.append("setup")

    async def handle(self, message: Any) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if (error := self.fails(message)) is not None:
            raise error
        self.handled.append(message)

    async def finish(self) -> None:
        self.events.append("finish")

    async def teardown(self) -> None:
        self.events.append("teardown")

    async def dispose(self, message: Any, reason: str) -> None:
        self.disposed.append((message, reason))


class Relay(Keep):
    """Passes each note on as an echo."""

    produces = (Echo,)

    async def handle(self, message: Any) -> None:
        await super().handle(message)
        await self.emit(Echo(message.number))


class KeepEchoes(Keep):
    consumes = (Consumes(message=Echo, policy=Policy(capacity=8)),)


def once(number: int, error: Exception) -> Callable[[Any], Exception | None]:
    """Fail the first time that a message with this number comes, and only then."""
    errors = [error]
    return lambda message: errors.pop() if message.number == number and errors else None


def always(number: int, error: type[Exception] = ValueError) -> Callable[[Any], Exception | None]:
    return lambda message: error(f"cannot do {number}") if message.number == number else None


class Run:
    """A system of a test's own actors, every producer joined with every consumer."""

    def __init__(self, actors: Sequence[Actor], clock: VirtualClock, **options: Any) -> None:
        self.clock = clock
        self.log: list[tuple[str, dict[str, Any]]] = []
        self.ended: str | None = None
        self.failure: Exception | None = None
        edges = [
            Edge(
                producer=producer.name,
                consumer=consumer.name,
                message=wanted.message,
                policy=wanted.policy,
                feedback=wanted.feedback,
            )
            for producer in actors
            for consumer in actors
            for wanted in consumer.consumes
            if wanted.message in producer.produces
        ]
        self.system = System(actors, edges, clock=clock, seed=1, log=self._log, **{"restarts": QUICK, **options})

    def _log(self, event: str, *, exc: BaseException | None = None, **facts: Any) -> None:  # noqa: ARG002
        self.log.append((event, facts))

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [facts for name, facts in self.log if name == event]

    def actor(self, name: str) -> ActorStatistics:
        return next(actor for actor in self.system.statistics().actors if actor.name == name)

    def inlet(self, name: str) -> InletStatistics:
        (inlet,) = self.actor(name).inlets
        return inlet

    async def run(self, *, task_status: Any = anyio.TASK_STATUS_IGNORED) -> None:
        try:
            self.ended = await self.system.run(task_status=task_status)
        except Exception as error:  # noqa: BLE001  (for the test to look at)
            self.failure = error

    async def to_the_end(self) -> str | None:
        """Run a system whose input ends, or which fails, without time passing."""
        with anyio.fail_after(5):
            await self.run()
        return self.ended


@asynccontextmanager
async def running(*actors: Actor, clock: VirtualClock, **options: Any) -> AsyncIterator[Run]:
    """Run a system beside the test; whatever is left at the end is cut short."""
    run = Run(actors, clock, **options)
    async with anyio.create_task_group() as tasks:
        await tasks.start(run.run)
        await clock.advance()
        yield run
        tasks.cancel_scope.cancel()


def is_conserved(inlet: InletStatistics) -> bool:
    return inlet.received == inlet.handled + Counter(inlet.dropped).total() + inlet.queued


DROP_OLDEST = Policy(overflow=Overflow.DROP_OLDEST, capacity=3)
