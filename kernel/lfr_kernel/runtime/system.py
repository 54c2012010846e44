"""The system: starts the actors, consumers first; ends them, cameras first; and says how everything is."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import anyio
from msgspec import Struct

from lfr_kernel.runtime.actor import Source
from lfr_kernel.runtime.clock import SystemClock
from lfr_kernel.runtime.statistics import SystemStatistics
from lfr_kernel.runtime.supervisor import Cell, RestartPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyio.abc import TaskStatus

    from lfr_kernel.runtime.actor import Actor, Address
    from lfr_kernel.runtime.clock import Clock
    from lfr_kernel.runtime.errors import ActorFailed
    from lfr_kernel.runtime.lanes import Lane
    from lfr_kernel.runtime.mailbox import Policy

__all__ = ["Edge", "System"]


class Edge(Struct, frozen=True, kw_only=True):
    """`producer` sends messages of one type to `consumer`, whose inlet follows `policy`."""

    producer: str
    consumer: str
    message: type
    policy: Policy
    feedback: bool = False


class System:
    """A set of actors and the edges between them.

    Normal end: every source runs out, and each actor ends once all its producers have. `stop` makes the sources end
    where they stand and then waits for the same, for `drain_s` at most; what is left then is disposed of.
    """

    def __init__(
        self,
        actors: Sequence[Actor],
        edges: Sequence[Edge],
        *,
        lanes: Sequence[Lane] = (),
        clock: Clock | None = None,
        restarts: RestartPolicy | None = None,
        drain_s: float = 5.0,
        seed: int | None = None,
        log: Callable[..., None] = lambda *_, **__: None,
    ) -> None:
        """Wire the system.

        Args:
            actors: upstream before downstream; they start in reverse.
            edges: between the names of `actors`.
            lanes: closed when the system has ended, and shown in its statistics.
            clock: the machine's, if not given.
            restarts: the restart policy of every actor.
            drain_s: how long stopping may take.
            seed: of the backoff's jitter.
            log: called as `log(event, **facts)`.
        """
        self.clock = clock or SystemClock()
        self.lanes = tuple(lanes)
        self.drain_s = drain_s
        self.failure: ActorFailed | None = None
        self.stop_reason: str | None = None
        self._stop = anyio.Event()
        rng = random.Random(seed)  # noqa: S311  (jitter, not a secret)
        policy = restarts or RestartPolicy()
        self.cells = {
            actor.name: Cell(actor, clock=self.clock, policy=policy, rng=rng, log=log, escalate=self._escalate)
            for actor in actors
        }
        if len(self.cells) != len(actors):
            raise ValueError(f"names of actors must differ, got {[actor.name for actor in actors]}")
        outlets: dict[str, dict[type, list[Any]]] = {
            actor.name: {message: [] for message in actor.produces} for actor in actors
        }
        for edge in edges:
            mailbox = self.cells[edge.consumer].mailbox
            inlet = mailbox.inlet(edge.producer, edge.message, edge.policy, feedback=edge.feedback)
            outlets[edge.producer].setdefault(edge.message, []).append(inlet)
        for name, cell in self.cells.items():
            cell.actor.outlets = outlets[name]

    def address(self, name: str) -> Address:
        """Return how to reach an actor over its control lane."""
        return self.cells[name].address

    def stop(self, reason: str) -> None:
        """Begin to stop; the first reason given stands."""
        if not self._stop.is_set():
            self.stop_reason = reason
            self._stop.set()

    def _escalate(self, failure: ActorFailed) -> None:
        self.failure = self.failure or failure
        self.stop("failed")

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> str:
        """Run to the end and return why it ended: `input_ended`, or the reason given to `stop`.

        Reports started once every actor is ready. A failed first `setup` is raised from here as it was.

        Raises:
            ActorFailed: an actor failed for good. The rest was drained first.
        """
        try:
            async with anyio.create_task_group() as cells:
                try:
                    for cell in reversed(self.cells.values()):
                        await cells.start(cell.run)
                except BaseException:
                    cells.cancel_scope.cancel()
                    raise
                task_status.started()
                await self._supervise()
                cells.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise _first(group) from None
        finally:
            for lane in self.lanes:
                lane.close()
        if self.failure is not None:
            raise self.failure
        return self.stop_reason or "input_ended"

    async def _supervise(self) -> None:
        """Wait for the end of the input or for `stop`; then drain."""
        async with anyio.create_task_group() as watch:

            async def watch_stop() -> None:
                await self._stop.wait()
                for cell in self.cells.values():
                    cell.stop_source()
                await self.clock.sleep(self.drain_s)
                watch.cancel_scope.cancel()

            watch.start_soon(watch_stop)
            services = []
            for cell in self.cells.values():
                if isinstance(cell.actor, Source) or cell.mailbox.inlets:
                    await cell.ended.wait()
                else:
                    services.append(cell)
            for cell in services:
                cell.mailbox.end()
                await cell.ended.wait()
            watch.cancel_scope.cancel()

    def statistics(self) -> SystemStatistics:
        """Return a snapshot."""
        return SystemStatistics(
            actors=tuple(cell.statistics() for cell in self.cells.values()),
            lanes=tuple(lane.statistics() for lane in self.lanes),
        )


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Unwrap groups down to the first error: a failed start has one cause."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
