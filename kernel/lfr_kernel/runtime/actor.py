"""Actors: one class, one mailbox, state that nobody else touches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import anyio
from msgspec import Struct

from lfr_kernel.runtime.errors import ActorError, ActorStopped, AskTimeoutError, describe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfr_kernel.runtime.clock import Clock
    from lfr_kernel.runtime.mailbox import Inlet, Mailbox, Policy

__all__ = ["Actor", "Address", "Ask", "Consumes", "Source", "Tick"]


class Consumes(Struct, frozen=True, kw_only=True):
    """One type of message that an actor takes in, and what its inlets do when they are full."""

    message: type
    policy: Policy
    unpaced: Policy | None = None
    """Used instead when the producer is a file that is not paced: it can wait, so nothing need be dropped."""
    feedback: bool = False
    """Comes from downstream: does not keep the actor alive, and must not block."""


class Actor:
    """Base of all actors. Override what you need; each hook says when it runs and what its failure does.

    All hooks run on the event loop's thread, in a task of the actor's supervisor; none may block (run blocking work
    on a lane). State belongs to the instance, which outlives restarts: `setup` makes it fresh, `teardown` closes
    its books.
    """

    consumes: ClassVar[Sequence[Consumes]] = ()
    produces: ClassVar[Sequence[type]] = ()

    name: str
    concurrency: int = 1
    """How many workers take messages at a time. More than one: `handle` must put its results in order itself."""
    max_batch: int = 1
    """Over 1: messages that wait already come together, through `handle_batch`."""
    tick_s: float | None = None
    """Period of `tick`, or None for never."""
    clock: Clock
    """Set before `setup`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.outlets: Mapping[type, Sequence[Inlet]] = {}

    async def setup(self) -> None:
        """Runs before the first message and after each restart. Its failure at the first start reaches the starter."""

    async def handle(self, message: Any) -> None:
        """Take one message. Its failure loses the message and restarts the actor."""

    async def handle_batch(self, messages: Sequence[Any]) -> None:
        """Take several. Emit only once all of them are worked out: after a failure each is tried again, alone."""
        for message in messages:
            await self.handle(message)

    async def answer(self, request: Any) -> Any:
        """Answer an `ask`. Its failure reaches the asker as text, and nobody else."""
        raise ActorError(self.name, f"{self.name} does not understand {type(request).__name__}")

    async def tick(self) -> None:
        """Runs every `tick_s`, between messages. Its failure restarts the actor."""

    async def finish(self) -> None:
        """Runs once when all input has ended and been handled; may still emit. Its failure is logged."""

    async def teardown(self) -> None:
        """Runs at every stop, after a crash too, in a shielded scope of limited time; may emit. Failure is logged."""

    async def dispose(self, message: Any, reason: str) -> None:
        """Runs for each message that dies before `handle` is done with it: erase it; say downstream what was lost."""

    async def emit(self, message: Any) -> bool:
        """Send `message` to everyone who consumes its type, by the policy each declared; False if one dropped it."""
        is_taken = True
        for inlet in self.outlets[type(message)]:
            is_taken &= await inlet.send(message)
        return is_taken


class Source(Actor):
    """An actor that makes messages instead of taking them."""

    async def produce(self) -> bool:
        """Make and emit the next messages; return False when there will be none any more. Runs again and again.

        Its failure restarts the actor. It is cancelled where it waits when the system stops.
        """
        raise NotImplementedError


class Tick(Struct, frozen=True):
    """On the control lane: time for `Actor.tick`."""


class Ask:
    """On the control lane: a request, and where its answer goes."""

    __slots__ = ("answer", "error", "event", "request")

    def __init__(self, request: Any) -> None:
        self.request = request
        self.event = anyio.Event()
        self.answer: Any = None
        self.error: ActorError | None = None

    def refuse(self, error: ActorError) -> None:
        """Answer with an error."""
        self.error = error
        self.event.set()

    async def serve(self, actor: Actor) -> None:
        """Let `actor` answer."""
        try:
            self.answer = await actor.answer(self.request)
        except ActorError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001  (the asker's to handle)
            self.error = ActorError(actor.name, f"{actor.name}: {describe(error)}")
        self.event.set()


class Address:
    """How others reach an actor beside the graph: over its control lane."""

    def __init__(self, name: str, mailbox: Mailbox, clock: Clock) -> None:
        self.name = name
        self._mailbox = mailbox
        self._clock = clock

    async def ask(self, request: Any, *, deadline_s: float) -> Any:
        """Put `request` to the actor and wait for the answer.

        Raises:
            AskTimeoutError: none came within `deadline_s`.
            ActorStopped: the actor ended first.
            ActorError: it could not answer; the text says why and names it.
        """
        if self._mailbox.is_dead:
            raise ActorStopped(self.name)
        ask = Ask(request)
        self._mailbox.tell_nowait(ask)
        with self._clock.move_on_after(deadline_s):
            await ask.event.wait()
        if not ask.event.is_set():
            raise AskTimeoutError(self.name, deadline_s)
        if ask.error is not None:
            raise ask.error
        return ask.answer
