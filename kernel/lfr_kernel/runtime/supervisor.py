"""Supervision: one cell around each actor, which starts, feeds, restarts and ends it.

As in OTP: one for one, exponential backoff with jitter, a limit on restarts within a window, then escalation. The
mailbox survives a restart. What the actor held when it failed is tried again alone if it came in a batch; what fails
alone is dropped and named.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
from anyio.lowlevel import checkpoint
from msgspec import Struct

from lfr_kernel.runtime.actor import Address, Ask, Source, Tick
from lfr_kernel.runtime.errors import ActorError, ActorFailed, ActorStopped, describe
from lfr_kernel.runtime.mailbox import Closed, Halted, Inlet, Mailbox
from lfr_kernel.runtime.statistics import ActorStatistics, State

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from anyio.abc import TaskStatus

    from lfr_kernel.runtime.actor import Actor
    from lfr_kernel.runtime.clock import Clock

__all__ = ["Cell", "RestartPolicy"]

CHECKPOINT_MESSAGES = 64
CHECKPOINT_NS = 2_000_000
TEARDOWN_S = 2.0


class RestartPolicy(Struct, frozen=True, kw_only=True):
    """When and how fast an actor that failed is started again."""

    max_restarts: int = 5
    """Within `window_s`; one more escalates."""
    window_s: float = 60.0
    backoff_s: float = 0.1
    """Before the first restart of a row; doubles with each further one in the window."""
    max_backoff_s: float = 10.0
    jitter: float = 0.25
    """Each wait is longer by a random share of itself, up to this."""

    def delay_s(self, restarts_in_window: int, random_share: float) -> float:
        """Return the wait before restart number `restarts_in_window` (from 1); `random_share` is in [0, 1)."""
        wait: float = min(self.max_backoff_s, self.backoff_s * 2 ** (restarts_in_window - 1))
        return wait * (1 + self.jitter * random_share)


class Cell:
    """One actor under supervision."""

    def __init__(
        self,
        actor: Actor,
        *,
        clock: Clock,
        policy: RestartPolicy,
        rng: random.Random,
        log: Callable[..., None],
        escalate: Callable[[ActorFailed], None],
    ) -> None:
        self.actor = actor
        self.name = actor.name
        self.state = State.STARTING
        self.restarts = 0
        self.last_error: str | None = None
        actor.clock = clock
        self.mailbox = Mailbox(actor.name, clock, actor.dispose)
        self.address = Address(actor.name, self.mailbox, clock)
        self.ended = anyio.Event()
        self._clock = clock
        self._policy = policy
        self._rng = rng
        self._log = log
        self._escalate = escalate
        self._failures_ns: deque[int] = deque()
        self._retry: deque[tuple[Inlet, Any]] = deque()
        self._error: Exception | None = None
        self._handled = 0
        self._busy_ns = 0
        self._tick_waits = False
        self._stopping = anyio.CancelScope()

    # ---- from outside ------------------------------------------------------------------------------------------

    def restart(self) -> None:
        """Restart the actor after what it holds, as after a failure, but at once and uncounted."""
        self.mailbox.halt()

    def stop_source(self) -> None:
        """Let a source end where it waits; its consumers then end by themselves."""
        if isinstance(self.actor, Source):
            self._stopping.cancel()

    def statistics(self) -> ActorStatistics:
        """Return a snapshot."""
        return ActorStatistics(
            name=self.name,
            state=self.state,
            restarts=self.restarts,
            handled=self._handled,
            busy_s=self._busy_ns / 1e9,
            last_error=self.last_error,
            inlets=tuple(inlet.statistics() for inlet in self.mailbox.inlets),
        )

    # ---- the life of the actor ---------------------------------------------------------------------------------

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Run the actor to its end. Its first `setup` decides whether the start succeeds."""
        reason = "stopped"
        try:
            await self._setup_first()
            task_status.started()
            while not await self._live():
                pass
            self.state = State.STOPPED
        except ActorFailed as error:
            self.state = State.FAILED
            reason = "failed"
            self._escalate(error)
        finally:
            if self.state is not State.FAILED:
                self.state = State.STOPPED
            with anyio.CancelScope(shield=True):
                await self._bury(reason)

    async def _setup_first(self) -> None:
        try:
            await self.actor.setup()
        except Exception as error:
            self.state = State.FAILED
            self.last_error = describe(error)
            await self._teardown()
            raise
        self.state = State.RUNNING

    async def _live(self) -> bool:
        """Work until the end (True) or a restart (False)."""
        self._error = None
        is_over = False
        try:
            is_over = await self._work()
            if is_over:
                await self._guard(self.actor.finish)
        finally:
            await self._teardown()
        if is_over:
            return True
        if (error := self._take_error()) is not None:
            await self._back_off(error)
        while not await self._setup_again():
            pass
        return False

    def _take_error(self) -> Exception | None:
        error, self._error = self._error, None
        return error

    async def _setup_again(self) -> bool:
        try:
            await self.actor.setup()
        except Exception as error:  # noqa: BLE001  (counts as one more failure)
            await self._teardown()
            await self._back_off(error)
            return False
        self.mailbox.resume()
        self.restarts += 1
        self.state = State.RUNNING
        return True

    async def _back_off(self, error: Exception) -> None:
        self.state = State.RESTARTING
        self.last_error = describe(error)
        is_permanent = bool(getattr(error, "is_permanent", False))
        now = self._clock.monotonic_ns()
        self._failures_ns.append(now)
        while self._failures_ns[0] < now - self._policy.window_s * 1e9:
            self._failures_ns.popleft()
        failures = len(self._failures_ns)
        if is_permanent:
            raise ActorFailed(self.name, self.last_error)
        if failures > self._policy.max_restarts:
            limit = f"failed {failures} times within {self._policy.window_s:g} s; the last error was: "
            raise ActorFailed(self.name, limit + self.last_error)
        delay_s = self._policy.delay_s(failures, self._rng.random())
        self._log("actor_failed", actor=self.name, error=self.last_error, restart_in_s=round(delay_s, 3), exc=error)
        del error  # its traceback would pin every array that its frames refer to
        await self._clock.sleep(delay_s)

    async def _work(self) -> bool:
        """Run the workers. Return True when the input is over, False when the actor is to be restarted."""
        ends: list[bool] = []
        async with anyio.create_task_group() as tasks:
            if self.actor.tick_s is not None:
                tasks.start_soon(self._tell_ticks, self.actor.tick_s)
            async with anyio.create_task_group() as workers:
                loop = self._source if isinstance(self.actor, Source) else self._worker
                for _ in range(self.actor.concurrency):
                    workers.start_soon(self._guarded, loop, ends)
            tasks.cancel_scope.cancel()
        return bool(ends) and all(ends)

    async def _guarded(self, loop: Callable[[], Any], ends: list[bool]) -> None:
        try:
            await loop()
            ends.append(True)
        except Halted:
            ends.append(False)
        except Exception as error:  # noqa: BLE001  (any failure of a plugin ends here)
            ends.append(False)
            self._error = self._error or error
            self.mailbox.halt()

    async def _source(self) -> None:
        source = self.actor
        assert isinstance(source, Source)  # noqa: S101  (_work has seen to it)
        with self._stopping:
            while True:
                if self.mailbox.is_halted:
                    raise Halted
                await self._serve_control()
                began = self._clock.monotonic_ns()
                has_more = await source.produce()
                self._busy_ns += self._clock.monotonic_ns() - began
                self._handled += 1
                if not has_more:
                    return
                await checkpoint()

    async def _serve_control(self) -> None:
        while (found := self.mailbox.receive_nowait()) is not None:
            await self._control(found[1])

    async def _worker(self) -> None:
        """Take messages until the end; come up for air every 64 of them or 2 ms."""
        actor, mailbox, clock = self.actor, self.mailbox, self._clock
        receive_nowait, monotonic_ns = mailbox.receive_nowait, clock.monotonic_ns
        since_checkpoint = 0
        last_checkpoint = before = monotonic_ns()
        while True:
            try:
                found = self._next_retry() or receive_nowait()
            except Closed:
                return
            if found is None:
                await mailbox.wait()
                since_checkpoint = 0
                last_checkpoint = before = monotonic_ns()
                continue
            inlet, message = found
            if inlet is None:
                await self._control(message)
            elif actor.max_batch > 1:
                await self._handle_batch(inlet, message)
            else:
                try:
                    await actor.handle(message)
                except BaseException as error:
                    await self._lose([(inlet, message)], error)
                    raise
                self._handled += 1
            now = monotonic_ns()
            self._busy_ns += now - before
            before = now
            since_checkpoint += 1
            if since_checkpoint >= CHECKPOINT_MESSAGES or now - last_checkpoint >= CHECKPOINT_NS:
                await checkpoint()
                since_checkpoint = 0
                last_checkpoint = before = monotonic_ns()

    def _next_retry(self) -> tuple[Inlet, Any] | None:
        return self._retry.popleft() if self._retry and not self.mailbox.is_halted else None

    async def _handle_batch(self, inlet: Inlet, message: Any) -> None:
        batch = [(inlet, message)]
        if not self._retry:
            batch += self.mailbox.receive_more_nowait(self.actor.max_batch - 1)
        try:
            await self.actor.handle_batch([one for _, one in batch])
        except BaseException as error:
            if len(batch) > 1 and isinstance(error, Exception):
                self._retry.extend(batch)
            else:
                await self._lose(batch, error)
            raise
        self._handled += len(batch)

    async def _lose(self, held: list[tuple[Inlet, Any]], error: BaseException) -> None:
        is_crash = isinstance(error, Exception)
        with anyio.CancelScope(shield=True):
            for inlet, message in held:
                if is_crash:
                    self._log("message_dropped", actor=self.name, message=repr(message), why=describe(error))
                await inlet.lose(message, "crashed" if is_crash else "stopped")

    async def _control(self, message: Any) -> None:
        if isinstance(message, Tick):
            self._tick_waits = False
            await self.actor.tick()
        elif isinstance(message, Ask):
            await message.serve(self.actor)

    async def _tell_ticks(self, period_s: float) -> None:
        while True:
            await self._clock.sleep(period_s)
            if not self._tick_waits:
                with suppress(ActorError):  # the control lane is full: its asks go first
                    self.mailbox.tell_nowait(Tick())
                    self._tick_waits = True

    async def _teardown(self) -> None:
        """Close the actor's books and resources, shielded, but not for ever."""
        self._tick_waits = False
        with anyio.CancelScope(shield=True), self._clock.move_on_after(TEARDOWN_S) as scope:
            await self._guard(self.actor.teardown)
        if scope.cancelled_caught:
            self._log("teardown_cut_short", actor=self.name, limit_s=TEARDOWN_S)

    async def _guard(self, hook: Callable[[], Any]) -> None:
        try:
            await hook()
        except Exception as error:  # noqa: BLE001  (the end of an actor must not fail)
            self.last_error = describe(error)
            self._log("hook_failed", actor=self.name, hook=hook.__name__, error=self.last_error)

    async def _bury(self, reason: str) -> None:
        """Dispose of what is left, answer everyone who waits, and tell the consumers that nothing more will come."""
        while self._retry:
            inlet, message = self._retry.popleft()
            await inlet.lose(message, reason)
        for left in await self.mailbox.die(reason):
            if isinstance(left, Ask):
                left.refuse(ActorStopped(self.name))
        for inlets in self.actor.outlets.values():
            for inlet in inlets:
                inlet.close()
        self.ended.set()
