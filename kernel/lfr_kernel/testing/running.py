"""One actor on its own, fed and watched by a test."""

from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from lfr_kernel.runtime import Actor, Edge, Policy, RestartPolicy, Source, System
from lfr_kernel.testing.clock import VirtualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from anyio.abc import TaskStatus

    from lfr_kernel.runtime import ActorStatistics, Lane

__all__ = ["ActorRun", "run_actor"]

T = TypeVar("T")

FEEDER, COLLECTOR = "feeder", "collector"
PATIENCE_S = 10.0
"""Real seconds that a test waits for what should come at once."""
GRACE_S, STEP_S = 0.05, 0.5
"""Real seconds for threads to end in, before virtual time moves on by so much."""


class _Feeder(Source):
    async def produce(self) -> bool:
        await anyio.sleep_forever()
        return False


class _Collector(Actor):
    def __init__(self) -> None:
        super().__init__(COLLECTOR)
        self.collected: dict[type, list[Any]] = {}
        self.unseen: dict[type, deque[Any]] = {}
        self.arrived = anyio.Event()

    async def handle(self, message: Any) -> None:
        self.collected.setdefault(type(message), []).append(message)
        self.unseen.setdefault(type(message), deque()).append(message)
        self.arrived.set()
        self.arrived = anyio.Event()


class ActorRun:
    """A running actor: send it messages, look at what it emits."""

    def __init__(self, actor: Actor, clock: VirtualClock) -> None:
        self.actor = actor
        self.clock = clock
        self.log: list[tuple[str, dict[str, Any]]] = []
        """What the runtime has logged: event and facts, exceptions left out."""
        self.ended: str | None = None
        """Why the run has ended, as `System.run` says it."""
        self.failure: Exception | None = None
        self._feeder = _Feeder(FEEDER)
        self._collector = _Collector()
        self._over = anyio.Event()
        self._system: System

    async def send(self, message: Any) -> bool:
        """Send by the policy that the actor declared, so possibly wait; return False if the message was dropped."""
        return await self._feeder.emit(message)

    def emitted(self, kind: type[T]) -> Sequence[T]:
        """Return all messages of one type that have been emitted so far."""
        return tuple(self._collector.collected.get(kind, ()))

    async def next(self, kind: type[T]) -> T:
        """Return the first message of one type that this has not returned yet; wait for it, but pass no time.

        Raises:
            TimeoutError: none came within some real seconds.
        """
        with anyio.fail_after(PATIENCE_S):
            while not (unseen := self._collector.unseen.get(kind)):
                await self._collector.arrived.wait()
        message: T = unseen.popleft()
        return message

    async def ask(self, request: Any, *, deadline_s: float = 1.0) -> Any:
        """See `Address.ask`."""
        return await self._system.address(self.actor.name).ask(request, deadline_s=deadline_s)

    def restart(self) -> None:
        """See `Address.restart`."""
        self._system.address(self.actor.name).restart()

    async def settle(self) -> None:
        """Let everything run until it waits, without time passing. Threads are not waited for."""
        await self.clock.advance(0)

    def statistics(self) -> ActorStatistics:
        """Return a snapshot of the actor."""
        return next(one for one in self._system.statistics().actors if one.name == self.actor.name)

    async def stop(self) -> None:
        """End the input, or the source, in good order, and wait for the end of the actor."""
        self._system.stop("test")
        await self.wait()

    async def wait(self) -> None:
        """Wait for the end of the actor: of a source that runs out, or of one that fails for good.

        Virtual time passes meanwhile, so that whatever hangs runs into its limit.

        Raises:
            TimeoutError: it did not end within some real seconds.
        """
        with anyio.fail_after(PATIENCE_S):
            while not self._over.is_set():
                await self.settle()
                with anyio.move_on_after(GRACE_S):
                    await self._over.wait()
                    return
                await self.clock.advance(STEP_S)

    async def run(self, system: System, *, task_status: TaskStatus[None]) -> None:
        """Run the system to its end. For `run_actor`."""
        self._system = system
        try:
            self.ended = await system.run(task_status=task_status)
        except Exception as error:  # noqa: BLE001  (raised by run_actor)
            self.failure = error
            with suppress(RuntimeError):  # it had started
                task_status.started()
        finally:
            self._over.set()

    def wire(self, *, unpaced: bool, **options: Any) -> System:
        """Put the actor between a feeder and a collector. For `run_actor`."""
        actor, name = self.actor, self.actor.name
        edges = [
            Edge(
                producer=FEEDER,
                consumer=name,
                message=wanted.message,
                policy=wanted.unpaced if unpaced and wanted.unpaced is not None else wanted.policy,
                feedback=wanted.feedback,
            )
            for wanted in actor.consumes
        ]
        edges += [
            Edge(producer=name, consumer=COLLECTOR, message=made, policy=Policy(capacity=1024))
            for made in actor.produces
        ]
        actors: list[Actor] = [actor, self._collector] if actor.produces else [actor]
        if not isinstance(actor, Source):
            actors.insert(0, self._feeder)

        def log(event: str, *, exc: BaseException | None = None, **facts: Any) -> None:  # noqa: ARG001
            self.log.append((event, facts))

        return System(actors, edges, clock=self.clock, log=log, **options)


@asynccontextmanager
async def run_actor(
    actor: Actor,
    *,
    clock: VirtualClock | None = None,
    lanes: Sequence[Lane] = (),
    restarts: RestartPolicy | None = None,
    drain_s: float = 5.0,
    unpaced: bool = False,
) -> AsyncIterator[ActorRun]:
    """Run one actor under a `System`, between a feeder of all that it consumes and a collector of all that it produces.

    Args:
        actor: the actor.
        clock: virtual; one of its own if not given. Lanes need the same.
        lanes: to be closed at the end.
        restarts: the usual policy if not given.
        drain_s: how long the end may take, in virtual seconds.
        unpaced: feed it by the policies for files that are not paced.

    Yields:
        The running actor. When the body ends, so does the input, and the actor after it has handled what waits.

    Raises:
        ActorFailed: it failed for good.
        Exception: its first `setup` failed; raised as it was.
    """
    run = ActorRun(actor, clock or VirtualClock())
    options = {"lanes": lanes, "restarts": restarts or RestartPolicy(), "drain_s": drain_s, "seed": 0}
    system = run.wire(unpaced=unpaced, **options)
    failure: BaseException | None = None
    async with anyio.create_task_group() as tasks:
        await tasks.start(run.run, system)
        if run.failure is None:
            try:
                yield run
                await run.stop()
            except (GeneratorExit, anyio.get_cancelled_exc_class()):
                raise
            except BaseException as error:  # noqa: BLE001  (raised below, outside of the group that would wrap it)
                failure = error
        tasks.cancel_scope.cancel()
    if (failure := failure or run.failure) is not None:
        raise failure
