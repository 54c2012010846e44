"""Mailboxes: one per actor, one inlet per edge of the graph, and a control lane beside the data.

An `Inlet` is the send end: it belongs to one producer, is bounded, and has the policy that the consumer declared.
The `Mailbox` is the receive end: control first, then data in the order of arrival. Both live on the event loop's
thread, so neither needs a lock. A message that dies unhandled goes through the mailbox's disposal hook.
"""

from __future__ import annotations

from collections import Counter, deque
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import anyio
from msgspec import Struct

from lfr_kernel.runtime.errors import ActorError
from lfr_kernel.runtime.statistics import InletStatistics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from lfr_kernel.runtime.clock import Clock

__all__ = ["CONTROL_CAPACITY", "Closed", "Halted", "Inlet", "Mailbox", "Overflow", "Policy"]

CONTROL_CAPACITY = 1024


class Overflow(StrEnum):
    """What a full inlet does with one message more."""

    BLOCK = "block"
    """The sender waits; for as long as `patience_s`, if that is set, and then the message is dropped."""
    DROP_OLDEST = "drop_oldest"
    LATEST_PER_KEY = "latest_per_key"
    """A newer message replaces the older one of the same key, in its place in the queue."""


class Policy(Struct, frozen=True, kw_only=True):
    """How an inlet behaves; declared by the consumer."""

    overflow: Overflow = Overflow.BLOCK
    capacity: int = 16
    patience_s: float | None = None
    key: Callable[[Any], Hashable] | None = None

    def __post_init__(self) -> None:
        if self.capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {self.capacity}: no mailbox is unbounded or empty")
        if (self.key is not None) != (self.overflow is Overflow.LATEST_PER_KEY):
            raise ValueError(f"{self.overflow} and key={self.key!r}: a key goes with latest_per_key, and only with it")
        if self.patience_s is not None and self.overflow is not Overflow.BLOCK:
            raise ValueError(f"patience_s goes with block only, got {self.overflow}")


class Closed(Exception):  # noqa: N818  (an end, not an error)
    """Raised by `Mailbox.receive` when every producer has ended and nothing is left."""


class Halted(Exception):  # noqa: N818
    """Raised by `Mailbox.receive` in every worker once the actor is to be restarted."""


class _Waiter:
    __slots__ = ("message", "stored", "taken")

    def __init__(self, message: Any) -> None:
        self.message = message
        self.taken = anyio.Event()
        self.stored = False


class Inlet:
    """The send end of one edge. `close` it when the producer has ended."""

    def __init__(self, mailbox: Mailbox, producer: str, message: type, policy: Policy, *, feedback: bool) -> None:
        self.producer = producer
        self.message = message
        self.policy = policy
        self.is_feedback = feedback
        self.is_closed = False
        self._mailbox = mailbox
        self._capacity = policy.capacity
        self._blocks = policy.overflow is Overflow.BLOCK
        self._items: deque[Any] = deque()
        self._latest: dict[Hashable, Any] = {}
        self._waiters: deque[_Waiter] = deque()
        self._received = 0
        self._handled = 0
        self._dropped: Counter[str] = Counter()

    async def send(self, message: Any) -> bool:
        """Give `message` to the consumer; return False if it was dropped at once.

        Waits only where the policy says `block` and the inlet is full. Whatever dies here or is pushed out is
        counted and disposed of before this returns.
        """
        if self._blocks and len(self._items) < self._capacity and not self._waiters and not self.is_closed:
            self._items.append(message)
            self._received += 1
            self._mailbox.announce(self)
            return True
        return await self._send_slowly(message)

    async def _send_slowly(self, message: Any) -> bool:
        if self.is_closed or self._mailbox.is_dead:
            self._received += 1
            await self._dispose(message, "closed")
            return False
        if self._blocks:
            return await self._wait(message)
        self._received += 1
        pushed_out = self._push_latest(message) if self.policy.key else self._push(message)
        if pushed_out is not None:
            await self._dispose(pushed_out, "overflow")
        return True

    def _push(self, message: Any) -> Any | None:
        self._items.append(message)
        if len(self._items) > self._capacity:
            return self._items.popleft()
        self._mailbox.announce(self)
        return None

    def _push_latest(self, message: Any) -> Any | None:
        assert self.policy.key is not None  # noqa: S101  (Policy has seen to it)
        key = self.policy.key(message)
        if key in self._latest:
            older, self._latest[key] = self._latest[key], message
            return older
        self._latest[key] = message
        if len(self._latest) > self._capacity:
            return self._latest.pop(next(iter(self._latest)))
        self._mailbox.announce(self)
        return None

    async def _wait(self, message: Any) -> bool:
        waiter = _Waiter(message)
        self._waiters.append(waiter)
        patience = self.policy.patience_s
        try:
            if patience is None:
                await waiter.taken.wait()
            else:
                with self._mailbox.clock.move_on_after(patience):
                    await waiter.taken.wait()
        except BaseException:
            if not waiter.stored:
                self._received += 1
                self._forget(waiter)
                with anyio.CancelScope(shield=True):
                    await self._dispose(message, "stopped")
            raise
        if waiter.stored:
            return True
        self._received += 1
        self._forget(waiter)
        await self._dispose(message, "closed" if self._mailbox.is_dead else "overflow")
        return False

    def _forget(self, waiter: _Waiter) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    async def _dispose(self, message: Any, reason: str) -> None:
        self._dropped[reason] += 1
        await self._mailbox.dispose(message, reason)

    def take(self) -> Any:
        """Hand the oldest message over. For the mailbox only."""
        self._handled += 1
        if self._latest:
            return self._latest.pop(next(iter(self._latest)))
        message = self._items.popleft()
        # Waking a sender for every free place would switch tasks once a message: wait until half is free.
        if self._waiters and len(self._items) <= self._capacity // 2:
            while self._waiters and len(self._items) < self._capacity:
                waiter = self._waiters.popleft()
                self._items.append(waiter.message)
                self._received += 1
                self._mailbox.announce(self)
                waiter.stored = True
                waiter.taken.set()
        return message

    async def lose(self, message: Any, reason: str) -> None:
        """Count a message that was taken, but died in the actor's hands, and dispose of it."""
        self._handled -= 1
        await self._dispose(message, reason)

    def close(self) -> None:
        """Say that nothing more will come."""
        if not self.is_closed:
            self.is_closed = True
            self._mailbox.check_end()

    async def empty(self, reason: str) -> None:
        """Dispose of everything queued and turn waiting senders away. For the mailbox only."""
        dying = [*self._items, *self._latest.values()]
        self._items.clear()
        self._latest.clear()
        for message in dying:
            await self._dispose(message, reason)
        for waiter in tuple(self._waiters):
            waiter.taken.set()

    @property
    def queued(self) -> int:
        """How many messages wait."""
        return len(self._items) + len(self._latest)

    def statistics(self) -> InletStatistics:
        """Return a snapshot."""
        return InletStatistics(
            producer=self.producer,
            message=self.message.__name__,
            overflow=self.policy.overflow.value,
            capacity=self._capacity,
            queued=self.queued,
            received=self._received,
            handled=self._handled,
            dropped=dict(self._dropped),
        )


class Mailbox:
    """The receive end. Workers of one actor may compete for it; each message goes to one of them."""

    def __init__(self, owner: str, clock: Clock, dispose: Callable[[Any, str], Awaitable[None]]) -> None:
        self.owner = owner
        self.clock = clock
        self.dispose = dispose
        self.inlets: list[Inlet] = []
        self.is_dead = False
        self.is_halted = False
        self._is_over = False
        self._order: deque[Inlet] = deque()
        self._control: deque[Any] = deque()
        self._receivers: deque[anyio.Event] = deque()

    def inlet(self, producer: str, message: type, policy: Policy, *, feedback: bool = False) -> Inlet:
        """Open an inlet. A feedback inlet does not keep the mailbox open when all others have closed."""
        inlet = Inlet(self, producer, message, policy, feedback=feedback)
        self.inlets.append(inlet)
        return inlet

    def announce(self, inlet: Inlet) -> None:
        """Note that one more message waits in `inlet`, and wake a worker."""
        self._order.append(inlet)
        if self._receivers:
            self._receivers.popleft().set()

    def tell_nowait(self, message: Any) -> None:
        """Put `message` on the control lane: never behind data, never dropped.

        Raises:
            ActorError: the lane is full, because the actor has not come up for air for long.
        """
        if len(self._control) >= CONTROL_CAPACITY:
            raise ActorError(self.owner, f"{self.owner}: control lane full with {CONTROL_CAPACITY} messages; it hangs")
        self._control.append(message)
        if self._receivers:
            self._receivers.popleft().set()

    def receive_nowait(self) -> tuple[Inlet | None, Any] | None:
        """Return (inlet, message), (None, control message), or None when nothing waits.

        Raises:
            Halted: the actor is to be restarted.
            Closed: nothing will ever come again.
        """
        if self.is_halted:
            raise Halted
        if self._control:
            return None, self._control.popleft()
        if self._order:
            inlet = self._order.popleft()
            return inlet, inlet.take()
        if self._is_over and not self._order:
            raise Closed
        return None

    def receive_more_nowait(self, most: int) -> list[tuple[Inlet, Any]]:
        """Return up to `most` data messages that wait already."""
        more: list[tuple[Inlet, Any]] = []
        while len(more) < most and self._order and not self._control:
            inlet = self._order.popleft()
            more.append((inlet, inlet.take()))
        return more

    async def wait(self) -> None:
        """Wait until `receive_nowait` may have something to say."""
        event = anyio.Event()
        self._receivers.append(event)
        try:
            await event.wait()
        finally:
            if event in self._receivers:
                self._receivers.remove(event)

    def check_end(self) -> None:
        """See whether every inlet that counts has closed."""
        lasting = [inlet for inlet in self.inlets if not inlet.is_feedback]
        if lasting and all(inlet.is_closed for inlet in lasting):
            self.end()

    def end(self) -> None:
        """Let `receive_nowait` raise Closed once nothing waits any more."""
        self._is_over = True
        self._wake_all()

    def halt(self) -> None:
        """Make every worker stop after what it holds; `resume` lets new ones begin. Messages stay."""
        self.is_halted = True
        self._wake_all()

    def resume(self) -> None:
        """See `halt`."""
        self.is_halted = False

    def _wake_all(self) -> None:
        while self._receivers:
            self._receivers.popleft().set()

    async def die(self, reason: str) -> list[Any]:
        """Dispose of all data, turn senders away from now on, and return the control messages left."""
        self.is_dead = True
        self._order.clear()
        for inlet in self.inlets:
            await inlet.empty(reason)
        self._wake_all()
        left = list(self._control)
        self._control.clear()
        return left
