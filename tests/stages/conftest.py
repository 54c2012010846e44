"""A stage alone: one host between a feeder and a catcher, on a clock that stands still until it is told to go on."""

from __future__ import annotations

import math
from collections import Counter, deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import anyio
import numpy as np
import pytest
from anyio.lowlevel import checkpoint

from lfr_kernel.messages import Biometric, Faces, Frame
from lfr_kernel.runtime import (
    Actor,
    CallAbandonedError,
    Edge,
    LaneStatistics,
    Policy,
    RestartPolicy,
    Source,
    System,
)
from lfr_kernel.stages import idle
from lfr_kernel.testing import VirtualClock
from lfr_kernel.testing.fakes import CROP_SIZE, FakeFace, FakePicture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from lfr_kernel.runtime import ActorStatistics

T = TypeVar("T")
UTC_NS = 1_700_000_000_000_000_000


class TimedLane:
    """A lane without threads: a call runs at once, and takes as long on the clock as it says with `spend`."""

    def __init__(self, clock: VirtualClock, workers: int = 1) -> None:
        self.name = "inline"
        self.workers = workers
        self.abandoned = self.calls = 0
        self._clock = clock
        self._spent_s = 0.0

    def spend(self, seconds: float = math.inf) -> None:
        """Called in a call: let it take so long; for ever, unless told otherwise."""
        self._spent_s += seconds

    async def run(
        self, call: Callable[..., T], *args: Any, deadline_s: float, discard: Callable[[T], None] | None = None
    ) -> T:
        await checkpoint()
        self.calls += 1
        result: Any = None
        error: Exception | None = None
        try:
            result = call(*args)
        except Exception as raised:  # noqa: BLE001  (raised below, when it is time)
            error = raised
        spent_s, self._spent_s = self._spent_s, 0.0
        is_waited_for = False
        try:
            await self._clock.sleep(min(spent_s, deadline_s))
            is_waited_for = spent_s <= deadline_s
        finally:
            if not is_waited_for and error is None and discard is not None:
                discard(result)
        if not is_waited_for:
            self.abandoned += 1
            raise CallAbandonedError(f"a call on lane {self.name!r} was abandoned after {deadline_s:g} s")
        if error is not None:
            raise error
        return cast("T", result)

    def statistics(self) -> LaneStatistics:
        return LaneStatistics(
            name=self.name, workers=self.workers, calls=self.calls, queued=0, busy_s=0.0, abandoned=self.abandoned
        )

    def close(self) -> None:
        """Nothing to end."""


class Feeder(Source):
    def __init__(self, kinds: Sequence[type]) -> None:
        super().__init__("feeder")
        self.produces = kinds  # type: ignore[misc]
        self.is_over = False
        self._waiting: deque[Any] = deque()
        self._news = anyio.Event()

    def give(self, *messages: Any) -> None:
        self._waiting += messages
        self._news.set()

    def end(self) -> None:
        self.is_over = True
        self._news.set()

    async def produce(self) -> bool:
        if not self._waiting and not self.is_over:
            self._news = anyio.Event()
            await self._news.wait()
        if self._waiting:
            await self.emit(self._waiting.popleft())
        return bool(self._waiting) or not self.is_over


class Catcher(Actor):
    def __init__(self) -> None:
        super().__init__("catcher")
        self.caught: list[Any] = []

    async def handle(self, message: Any) -> None:
        self.caught.append(message)


class Hosted:
    """One actor in a system of its own."""

    def __init__(self, actor: Actor, clock: VirtualClock, restarts: RestartPolicy) -> None:
        self.actor = actor
        self.clock = clock
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.ended: str | Exception | None = None
        self._feeder = Feeder([wanted.message for wanted in actor.consumes])
        self._catcher = Catcher()
        actors: list[Actor] = [actor, self._catcher]
        edges = [
            Edge(producer=actor.name, consumer="catcher", message=made, policy=Policy(capacity=4096))
            for made in actor.produces
        ]
        if not isinstance(actor, Source):
            actors.insert(0, self._feeder)
            edges += [
                Edge(
                    producer="feeder",
                    consumer=actor.name,
                    message=wanted.message,
                    policy=wanted.policy,
                    feedback=wanted.feedback,
                )
                for wanted in actor.consumes
            ]
        self.system = System(actors, edges, clock=clock, restarts=restarts, drain_s=1.0, log=self._log)

    def _log(self, event: str, **facts: Any) -> None:
        facts.pop("exc", None)
        self.logged.append((event, facts))

    def caught(self, kind: type[T]) -> list[T]:
        """What the actor has sent so far."""
        return [message for message in self._catcher.caught if isinstance(message, kind)]

    def events(self, event: str) -> list[dict[str, Any]]:
        """What was logged under that name."""
        return [facts for name, facts in self.logged if name == event]

    @property
    def statistics(self) -> ActorStatistics:
        return next(one for one in self.system.statistics().actors if one.name == self.actor.name)

    @property
    def dropped(self) -> Counter[str]:
        """What died in or before the actor, by reason."""
        return sum((Counter(inlet.dropped) for inlet in self.statistics.inlets), Counter())

    async def send(self, *messages: Any) -> None:
        """Give the actor messages, all at once, and let it work on them."""
        self._feeder.give(*messages)
        await self.clock.advance()

    async def ask(self, request: Any) -> Any:
        return await self.system.address(self.actor.name).ask(request, deadline_s=5)

    async def restart(self) -> None:
        """Restart the actor, as after a failure."""
        self.system.address(self.actor.name).restart()
        await self.clock.advance()

    async def finish(self) -> None:
        """Let the input end, and the actor with it."""
        self._feeder.end()
        await self.clock.advance()
        assert self.ended == "input_ended", self.ended

    async def run(self, **started: Any) -> None:
        try:
            self.ended = await self.system.run(**started)
        except Exception as error:  # noqa: BLE001  (for the test to look at)
            self.ended = error


HostFunction = Any  # (actor, restarts=...) -> AbstractAsyncContextManager[Hosted]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture(autouse=True)
def nobody_to_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of a lane without threads would wait for one another in vain."""
    monkeypatch.setattr(idle, "MEET_S", 0.001)


@pytest.fixture
def lane(clock: VirtualClock) -> TimedLane:
    return TimedLane(clock)


@pytest.fixture
def host(clock: VirtualClock) -> Callable[..., AbstractAsyncContextManager[Hosted]]:
    """Return a function that runs one actor: `async with host(actor) as hosted`."""

    @asynccontextmanager
    async def run(actor: Actor, restarts: RestartPolicy | None = None) -> AsyncIterator[Hosted]:
        hosted = Hosted(actor, clock, restarts or RestartPolicy(max_restarts=1000, backoff_s=0.1, jitter=0.0))
        async with anyio.create_task_group() as tasks:
            await tasks.start(hosted.run)
            yield hosted
            hosted.system.stop("the test is over")
            await clock.advance(10)
            tasks.cancel_scope.cancel()

    return run


@pytest.fixture
def biometrics(monkeypatch: pytest.MonkeyPatch) -> list[Biometric]:
    """Every Biometric made since: whoever made it, somebody has to erase it."""
    made: list[Biometric] = []
    initialise = Biometric.__init__

    def note(self: Biometric, array: Any, **more: Any) -> None:
        initialise(self, array, **more)
        made.append(self)

    monkeypatch.setattr(Biometric, "__init__", note)
    return made


RED, GREEN, BLUE = (200, 40, 40), (40, 200, 40), (40, 40, 200)


@pytest.fixture
def picture() -> FakePicture:
    return FakePicture.of([FakeFace(40, 30, 64, RED)])


@pytest.fixture
def a_frame() -> Callable[..., Frame]:
    def make(sequence: int, picture: FakePicture, camera: str = "gate") -> Frame:
        at_ns = sequence * 40_000_000
        return Frame(
            camera=camera,
            sequence=sequence,
            picture=picture,
            captured_at_ns=UTC_NS + at_ns,
            captured_monotonic_ns=at_ns,
            stream_ns=at_ns,
        )

    return make


@pytest.fixture
def some_faces() -> Callable[..., Faces]:
    """Return a function that makes the `Faces` of a frame with faces of these colours side by side."""

    def make(sequence: int, colours: Sequence[tuple[int, int, int]] = (RED,), camera: str = "gate") -> Faces:
        corners = np.array([[100.0 * number, 30.0] for number in range(len(colours))], np.float32).reshape(-1, 2)
        crops = np.zeros((len(colours), CROP_SIZE[1], CROP_SIZE[0], 3), np.uint8)
        for crop, colour in zip(crops, colours, strict=True):
            crop[:] = colour
        at_ns = sequence * 40_000_000
        return Faces(
            camera=camera,
            sequence=sequence,
            missed=0,
            picture=FakePicture.of(()),
            captured_at_ns=UTC_NS + at_ns,
            captured_monotonic_ns=at_ns,
            stream_ns=at_ns,
            boxes=np.concatenate((corners, corners + np.float32(64)), axis=1),
            landmarks=np.zeros((len(colours), 5, 2), np.float32),
            confidences=np.full(len(colours), 0.9, np.float32),
            crops=Biometric(crops),
        )

    return make
