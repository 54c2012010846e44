"""The system: starts the actors, consumers first; ends them, cameras first; and says how everything is."""

import random
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field

import anyio
from anyio.abc import TaskStatus
from msgspec import Struct

from lfr_kernel.runtime.actor import Actor, Address, Source
from lfr_kernel.runtime.clock import Clock, SystemClock
from lfr_kernel.runtime.lanes import Lane, LaneStatistics
from lfr_kernel.runtime.mailbox import Policy
from lfr_kernel.runtime.supervisor import ActorFailed, ActorStatistics, Cell, RestartPolicy


class Edge(Struct, frozen=True, kw_only=True):
    """`producer` sends messages of one type to `consumer`, whose inlet follows `policy`."""

    producer: str
    consumer: str
    message: type
    policy: Policy
    feedback: bool = False


class SystemStatistics(Struct, frozen=True):
    """A snapshot of the whole system."""

    actors: tuple[ActorStatistics, ...]
    lanes: tuple[LaneStatistics, ...]


@dataclass(eq=False)
class System:
    """A set of actors and the edges between them.

    Normal end: every source runs out, and each actor ends once all its producers have. `stop` makes the sources end
    where they stand and waits for the same, for `drain_s` at most; what is left then is disposed of.
    """

    actors: Sequence[Actor]  #: upstream before downstream; they start in reverse
    edges: Sequence[Edge]  #: between the names of `actors`
    _: KW_ONLY
    lanes: Sequence[Lane] = ()  #: closed when the system has ended, and shown in its statistics
    clock: Clock = field(default_factory=SystemClock)
    restarts: RestartPolicy = field(default_factory=RestartPolicy)
    drain_s: float = 5.0  #: how long stopping may take
    seed: int | None = None  #: of the backoff's jitter
    log: Callable[..., None] = lambda *_, **__: None  #: gets an event and facts; `exc` is an exception, not to be kept

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)  # noqa: S311  (jitter, not a secret)
        self._failure: Exception | None = None
        self._stop_reason: str | None = None
        self._stop = anyio.Event()
        self._cells = {actor.name: Cell(actor, self) for actor in self.actors}
        if len(self._cells) != len(self.actors):
            raise ValueError(f"names of actors must differ, got {[actor.name for actor in self.actors]}")
        for edge in self.edges:
            mailbox = self._cells[edge.consumer].mailbox
            inlet = mailbox.inlet(edge.producer, edge.message, edge.policy, feedback=edge.feedback)
            self._cells[edge.producer].actor.outlets.setdefault(edge.message, []).append(inlet)

    def address(self, name: str) -> Address:
        """Return how to reach an actor over its control lane."""
        return self._cells[name]

    def stop(self, reason: str, failure: ActorFailed | None = None) -> None:
        """Begin to stop; the first reason given stands, and so does the first failure."""
        self._stop_reason = self._stop_reason or reason
        self._failure = self._failure or failure
        self._stop.set()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> str:
        """Run to the end and return why it ended: `input_ended`, or the reason given to `stop`. Started: all are ready.

        Raises:
            ActorFailed: an actor failed for good. The rest was drained first.
            Exception: a first `setup` failed; raised as it was.
        """
        try:
            async with anyio.create_task_group() as tasks:
                for cell in reversed(self._cells.values()):
                    await tasks.start(cell.run)
                task_status.started()
                tasks.start_soon(self._drain, tasks.cancel_scope)
                for cell in self._cells.values():
                    if cell.mailbox.lasting or isinstance(cell.actor, Source):
                        await cell.ended.wait()
                tasks.cancel_scope.cancel()  # services end last: others may have needed them
        except ExceptionGroup as group:  # of one: whoever failed to start
            self._failure = group.exceptions[0]
        finally:
            for lane in self.lanes:
                lane.close()
        if self._failure is not None:
            raise self._failure
        return self._stop_reason or "input_ended"

    async def _drain(self, everything: anyio.CancelScope) -> None:
        await self._stop.wait()
        for cell in self._cells.values():
            if isinstance(cell.actor, Source):
                cell.lives.cancel()
        await self.clock.sleep(self.drain_s)
        for cell in self._cells.values():
            cell.actor.is_cut_short = True
        everything.cancel()

    def statistics(self) -> SystemStatistics:
        """Return a snapshot."""
        actors = tuple(cell.statistics() for cell in self._cells.values())
        return SystemStatistics(actors, tuple(lane.statistics() for lane in self.lanes))
