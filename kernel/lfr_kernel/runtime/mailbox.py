"""Mailboxes: one per actor, one inlet per edge of the graph, and a control lane beside the data.

An `Inlet` is the send end: it belongs to one producer, is bounded, and has the policy that the consumer declared. The
`Mailbox` is the receive end: data in the order of arrival, and control. A message that dies unhandled is counted by its
inlet and goes through the mailbox's disposal hook. Both live on the event loop's thread and need no lock.
"""

from collections import Counter, deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import anyio
from msgspec import Struct

from lfr_kernel.runtime.clock import Clock
from lfr_kernel.runtime.errors import ActorError, ActorStopped

CONTROL_CAPACITY = 1024


class Overflow(StrEnum):
    """What a full inlet does with one message more."""

    BLOCK = "block"  #: the sender waits, for `patience_s` at most; then the message is dropped
    DROP_OLDEST = "drop_oldest"
    LATEST_PER_KEY = "latest_per_key"  #: a message replaces the older one of its key, in its place in the queue


class Policy(Struct, frozen=True, kw_only=True):
    """How an inlet behaves; declared by the consumer."""

    overflow: Overflow = Overflow.BLOCK
    capacity: int = 16
    patience_s: float | None = None  #: None: for ever
    key: Callable[[Any], Hashable] | None = None

    def __post_init__(self) -> None:
        if self.capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {self.capacity}: no mailbox is unbounded or empty")
        if (self.key is not None) != (self.overflow is Overflow.LATEST_PER_KEY):
            raise ValueError(f"{self.overflow} and key={self.key!r}: a key goes with latest_per_key, and only with it")
        if self.patience_s is not None and self.overflow is not Overflow.BLOCK:
            raise ValueError(f"patience_s goes with block only, got {self.overflow}")


class InletStatistics(Struct, frozen=True):
    """A snapshot of one edge of the graph. Always: received = handled + dropped (all reasons) + queued."""

    producer: str
    message: str
    overflow: str
    capacity: int
    queued: int
    received: int
    handled: int  #: handed to the actor, and not lost in a crash
    dropped: dict[str, int]  #: by reason: overflow, crashed; and once the actor ends: stopped or failed, then closed


@dataclass(eq=False, slots=True)
class Inlet:
    """The send end of one edge."""

    mailbox: "Mailbox"
    producer: str
    message: type
    policy: Policy
    blocks: bool
    is_closed: bool = False
    items: deque[Any] = field(default_factory=deque)
    senders: dict[anyio.Event, Any] = field(default_factory=dict)  #: who waits, first come first served
    dropped: Counter[str] = field(default_factory=Counter)
    received: int = 0
    handled: int = 0

    async def send(self, message: Any) -> bool:
        """Give `message` to the consumer, as the policy says, behind those who wait; return False if it was dropped."""
        if self.is_closed:
            self.received += 1
            await self.drop(message, "closed")
            return False
        if self.blocks and (self.senders or len(self.items) >= self.policy.capacity):
            return await self._wait(message)
        if (pushed_out := self._push(message)) is not None:
            await self.drop(pushed_out, "overflow")
        return True

    def _push(self, message: Any) -> Any | None:
        """Queue `message` and return the one that it pushes out, if any."""
        self.received += 1
        policy, items, mailbox = self.policy, self.items, self.mailbox
        if policy.key is not None:
            for place, older in enumerate(items):
                if policy.key(older) == policy.key(message):
                    items[place] = message
                    return older
        items.append(message)
        if len(items) > policy.capacity:
            return items.popleft()
        mailbox.order.append(self)
        if mailbox.news is not None:
            mailbox.wake()
        return None

    async def _wait(self, message: Any) -> bool:
        self.senders[woken := anyio.Event()] = message
        reason = "stopped"
        try:
            with self.mailbox.clock.move_on_after(self.policy.patience_s):
                await woken.wait()
            reason = "closed" if self.is_closed else "overflow"
        finally:
            is_refused = self.senders.pop(woken, None) is not None
            if is_refused:
                self.received += 1
                await self.drop(message, reason)
        return not is_refused

    def admit(self) -> None:
        """Let waiting senders in."""
        policy = self.policy
        # Once half is free, lest each message switch tasks; at once where patience could run out beside a free place.
        if policy.patience_s is not None or len(self.items) <= policy.capacity // 2:
            while self.senders and len(self.items) < policy.capacity:
                woken = next(iter(self.senders))
                self._push(self.senders.pop(woken))
                woken.set()

    async def drop(self, message: Any, reason: str) -> None:
        """Count and dispose of a message that dies."""
        self.dropped[reason] += 1
        with anyio.CancelScope(shield=True):
            await self.mailbox.dispose(message, reason)

    def close(self) -> None:
        """Say that the producer has ended."""
        self.is_closed = True
        lasting = self.mailbox.lasting
        self.mailbox.is_over = bool(lasting) and all(inlet.is_closed for inlet in lasting)
        self.mailbox.wake()

    def statistics(self) -> InletStatistics:
        """Return a snapshot."""
        policy, counts = self.policy, (len(self.items), self.received, self.handled, dict(self.dropped))
        return InletStatistics(self.producer, self.message.__name__, policy.overflow.value, policy.capacity, *counts)


class Mailbox:
    """The receive end, for which workers of one actor may compete. `dispose` gets what dies here; it must not raise."""

    def __init__(self, owner: str, clock: Clock, dispose: Callable[[Any, str], Awaitable[None]]) -> None:
        self.owner, self.clock, self.dispose = owner, clock, dispose
        self.inlets: list[Inlet] = []
        self.lasting: list[Inlet] = []  #: those that keep it open: all but feedback
        self.order: deque[Inlet] = deque()  #: one entry for each message, in the order of arrival
        self.control: deque[Any] = deque()
        self.news: anyio.Event | None = None  #: there if somebody waits for it
        #: halted: workers stop after what they hold; over: and once nothing waits; dead: there are none any more
        self.is_halted = self.is_over = self.is_dead = False

    def inlet(self, producer: str, message: type, policy: Policy, *, feedback: bool = False) -> Inlet:
        """Open an inlet. A feedback inlet does not keep the mailbox open when all others have closed."""
        inlet = Inlet(self, producer, message, policy, blocks=policy.overflow is Overflow.BLOCK)
        self.inlets.append(inlet)
        if not feedback:
            self.lasting.append(inlet)
        return inlet

    def tell_nowait(self, message: Any) -> None:
        """Put `message` on the control lane. Raises ActorError if that is full, ActorStopped if nobody will read it."""
        if self.is_dead:
            raise ActorStopped(self.owner, "has stopped already")
        if len(self.control) >= CONTROL_CAPACITY:
            raise ActorError(self.owner, f"control lane full with {CONTROL_CAPACITY} messages; it hangs")
        self.control.append(message)
        self.wake()

    def receive_nowait(self) -> tuple[Inlet, Any] | None:
        """Return the oldest message and where it came in, or None when nothing waits."""
        if not self.order:
            return None
        inlet = self.order.popleft()
        message = inlet.items.popleft()
        inlet.handled += 1
        if inlet.senders:
            inlet.admit()
        return inlet, message

    def put_back(self, messages: Sequence[tuple[Inlet, Any]]) -> None:
        """Take back what was received, in front of everything else."""
        for inlet, message in reversed(messages):
            inlet.handled -= 1
            inlet.items.appendleft(message)
            self.order.appendleft(inlet)

    async def wait(self) -> bool:
        """Wait for news; return False if there will be none."""
        if self.is_halted or self.is_over:
            return False
        self.news = self.news or anyio.Event()
        await self.news.wait()
        return True

    def wake(self) -> None:
        """Wake the workers that wait."""
        if self.news is not None:
            self.news.set()
            self.news = None

    async def die(self, reason: str) -> Sequence[Any]:
        """Turn senders away from now on, dispose of all data, and return the control messages left."""
        self.is_dead = True
        self.order.clear()
        for inlet in self.inlets:
            inlet.is_closed = True
            for woken in inlet.senders:
                woken.set()
            while inlet.items:
                await inlet.drop(inlet.items.popleft(), reason)
        return self.control
