"""Supervision: one cell around each actor, which starts, feeds, restarts and ends it.

As in OTP: one for one, exponential backoff with jitter, a limit on restarts within a window, then escalation. The
mailbox survives a restart. A batch that failed is tried again one by one; what fails alone is dropped and named.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskStatus
from anyio.lowlevel import checkpoint
from msgspec import Struct

from lfr_kernel.runtime.actor import Actor, Address, Source
from lfr_kernel.runtime.errors import ActorError, ActorStopped, describe
from lfr_kernel.runtime.mailbox import Inlet, InletStatistics, Mailbox

if TYPE_CHECKING:
    from lfr_kernel.runtime.system import System

FAIR_MESSAGES = 64
FAIR_NS = 2_000_000
TEARDOWN_S = 2.0
GONE = "stopped before it answered"

#: The states of a supervised actor: starting → running ⇄ restarting (backoff) → stopped | failed
State = StrEnum("State", ["STARTING", "RUNNING", "RESTARTING", "STOPPED", "FAILED"])


class ActorFailed(ActorError):  # noqa: N818  (a state, too)
    """The actor failed for good; the text holds its last error."""

    is_permanent = True


class RestartPolicy(Struct, frozen=True, kw_only=True):
    """When and how fast an actor that failed is started again."""

    max_restarts: int = 5  #: within `window_s`; one more escalates
    window_s: float = 60.0
    backoff_s: float = 0.1  #: before the first restart of a row; doubles with each further one in the window
    max_backoff_s: float = 10.0
    jitter: float = 0.25  #: each wait is longer by a random share of itself, up to this


class ActorStatistics(Struct, frozen=True):
    """A snapshot of one actor."""

    name: str
    state: State
    restarts: int
    handled: int
    busy_s: float  #: spent in `handle` or `produce`, waiting for lanes and receivers included
    last_error: str | None
    inlets: tuple[InletStatistics, ...]


class Cell(Address):
    """One actor under supervision."""

    def __init__(self, actor: Actor, system: "System") -> None:
        self.actor, self.name = actor, actor.name
        self.mailbox = Mailbox(actor.name, system.clock, lambda *dying: self._guard(actor.dispose, *dying))
        actor.clock = system.clock
        actor.outlets = {message: [] for message in actor.produces}
        self.lives, self.ended = anyio.CancelScope(), anyio.Event()
        self._system, self._clock, self._log = system, system.clock, system.log
        self._state = State.STARTING
        self._error: BaseException | None = None
        self._last_error: str | None = None
        self._failures_ns: list[int] = []
        self._tick_at_ns = math.inf
        #: alone: how many of the next messages are to be handled one by one, because their batch failed
        self._alone = self._handled = self._busy_ns = self._restarts = 0

    def statistics(self) -> ActorStatistics:
        """Return a snapshot."""
        counts = self._restarts, self._handled, self._busy_ns / 1e9
        inlets = tuple(inlet.statistics() for inlet in self.mailbox.inlets)
        return ActorStatistics(self.name, self._state, *counts, self._last_error, inlets)

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Live, and live again after each failure, until the input is over. A failed first `setup` is raised as is."""
        try:
            with self.lives:
                while not await self._live(task_status) and await self._back_off():
                    self._restarts += 1
        finally:
            self._state, self._error = State.FAILED if self._state is State.FAILED else State.STOPPED, None
            for _, answer in await self.mailbox.die(self._state.value):
                if not answer.done():
                    answer.set_exception(ActorStopped(self.name, GONE))
            for inlet in chain(*self.actor.outlets.values()):
                inlet.close()
            self.ended.set()

    async def _live(self, task_status: TaskStatus[None]) -> bool:
        """Go from `setup` to `teardown`; return whether the input is over."""
        is_over = False
        try:
            await self.actor.setup()
            if self._state is State.STARTING:
                task_status.started()
            self._state = State.RUNNING
            self.mailbox.is_halted = False
            self._tick_at_ns = self._clock.monotonic_ns() + (self.actor.tick_s or math.inf) * 1e9
            async with anyio.create_task_group() as workers:
                for _ in range(self.actor.concurrency):
                    workers.start_soon(self._worker)
            if is_over := not self.mailbox.is_halted:
                await self._guard(self.actor.finish)
        except Exception as error:
            if self._state is State.STARTING:
                raise
            self._error = error
        finally:
            with anyio.CancelScope(shield=True), self._clock.move_on_after(TEARDOWN_S) as limit:
                await self._guard(self.actor.teardown)
            if limit.cancelled_caught:
                self._log("teardown_cut_short", actor=self.name, limit_s=TEARDOWN_S)
        return is_over

    async def _back_off(self) -> bool:
        """Wait before the next life; return False if there shall be none."""
        self._state = State.RESTARTING
        error, self._error = self._error, None
        if error is None:  # a restart that somebody asked for
            return True
        policy, now_ns = self._system.restarts, self._clock.monotonic_ns()
        self._failures_ns = [at_ns for at_ns in self._failures_ns if at_ns >= now_ns - policy.window_s * 1e9] + [now_ns]
        failures = len(self._failures_ns)
        wait_s = min(policy.max_backoff_s, policy.backoff_s * 2 ** (failures - 1))
        wait_s *= 1 + policy.jitter * self._system.rng.random()
        why = self._last_error = describe(error)
        self._log("actor_failed", actor=self.name, error=why, restart_in_s=round(wait_s, 3), exc=error)
        if failures > policy.max_restarts:
            why = f"failed {failures} times within {policy.window_s:g} s; the last error was: {why}"
        if failures > policy.max_restarts or getattr(error, "is_permanent", False):
            self._state = State.FAILED
            self._system.stop("failed", ActorFailed(self.name, why))
            return False
        del error  # its traceback would pin every array that its frames refer to
        await self._clock.sleep(wait_s)
        return True

    async def _worker(self) -> None:
        """Take messages until the end. A failure ends the other workers, too, each after what it holds."""
        try:
            while await self._take_some():
                await checkpoint()
        except BaseException as error:  # noqa: BLE001  (a plugin may raise even SystemExit, or a cancellation of its own)
            self._error = self._error or error
            self.mailbox.is_halted = True
            self.mailbox.wake()

    async def _take_some(self) -> bool:
        """Take as many messages as is fair; if there are none, produce or wait. Return whether to go on."""
        taken, is_idle, mailbox, monotonic_ns = 0, False, self.mailbox, self._clock.monotonic_ns
        now_ns = began_ns = monotonic_ns()
        while not (is_idle or mailbox.is_halted) and taken < FAIR_MESSAGES and now_ns - began_ns < FAIR_NS:
            if now_ns >= self._tick_at_ns:
                self._tick_at_ns = now_ns + (self.actor.tick_s or math.inf) * 1e9
                await self.actor.tick()
            elif mailbox.control:
                await self._answer(*mailbox.control.popleft())
                taken += 1
            elif (found := mailbox.receive_nowait()) is not None:
                taken += await self._handle(found)
            elif isinstance(self.actor, Source):
                if not await self.actor.produce():
                    return False
                taken, self._handled = FAIR_MESSAGES, self._handled + 1
            else:
                is_idle = True
            now_ns = monotonic_ns()
        self._busy_ns += now_ns - began_ns
        if is_idle:
            with self._clock.move_on_after((self._tick_at_ns - now_ns) / 1e9):
                return await mailbox.wait()
        return not mailbox.is_halted

    async def _answer(self, request: Any, answer: asyncio.Future[Any]) -> None:
        if answer.done():  # whoever asked has gone
            return
        error: Exception = ActorStopped(self.name, GONE)
        try:
            answer.set_result(await self.actor.answer(request))
        except Exception as caught:  # noqa: BLE001  (the asker's to handle)
            error = caught if isinstance(caught, ActorError) else ActorError(self.name, describe(caught))
        finally:
            if not answer.done():
                answer.set_exception(error)

    async def _handle(self, first: tuple[Inlet, Any]) -> int:
        """Let the actor handle a message, or a batch of those that wait; return how many. A failure is seen to here."""
        actor, batch, (inlet, message) = self.actor, [first], first
        if self._alone:
            self._alone -= 1
        elif actor.max_batch > 1:
            while len(batch) < actor.max_batch and (found := self.mailbox.receive_nowait()) is not None:
                batch.append(found)
        try:
            if actor.max_batch > 1:
                await actor.handle_batch([one for _, one in batch])
            else:
                await actor.handle(message)
        except BaseException as error:
            if isinstance(error, Exception) and len(batch) == 1:
                self._log("message_dropped", actor=self.name, message=repr(message), why=describe(error))
                inlet.handled -= 1
                await inlet.drop(message, "crashed")
            else:
                self.mailbox.put_back(batch)
                self._alone += len(batch)
            raise
        self._handled += len(batch)
        return len(batch)

    async def _guard(self, hook: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Run a hook whose failure changes nothing any more."""
        try:
            await hook(*args)
        except Exception as error:  # noqa: BLE001  (the end of an actor must not fail)
            self._last_error = describe(error)
            self._log("hook_failed", actor=self.name, hook=hook.__name__, error=self._last_error)
