"""Actors: one class, one mailbox, state that nobody else touches."""

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

from msgspec import Struct

from lfr_kernel.runtime.clock import Clock
from lfr_kernel.runtime.errors import ActorError
from lfr_kernel.runtime.mailbox import Inlet, Mailbox, Policy


class Consumes(Struct, frozen=True, kw_only=True):
    """One type of message that an actor takes in, and what its inlets do when they are full."""

    message: type
    policy: Policy
    unpaced: Policy | None = (
        None  #: instead, when the producer is a file that is not paced: it can wait, none need drop
    )
    feedback: bool = False  #: comes from downstream: does not keep the actor alive, and must not block


class Actor:
    """Base of all actors. Override what you need; each hook says when it runs and what its failure does.

    All hooks run on the event loop's thread, in a task of the actor's supervisor; none may block (run blocking work
    on a lane). The instance and its state outlive restarts: `setup` makes it fresh, `teardown` closes its books.
    """

    consumes: ClassVar[Sequence[Consumes]] = ()
    produces: ClassVar[Sequence[type]] = ()
    concurrency: int = 1  #: workers that take messages; over 1, `handle` must put its results in order itself
    max_batch: int = 1  #: over 1: messages that wait already come together, through `handle_batch`
    tick_s: float | None = None  #: period of `tick`, or None for never
    clock: Clock  #: set before `setup`
    is_cut_short: bool = False  #: set before `teardown` when a stop has run out of time

    def __init__(self, name: str) -> None:
        self.name = name
        self.outlets: dict[type, list[Inlet]] = {}

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
        raise ActorError(self.name, f"does not understand {type(request).__name__}")

    async def tick(self) -> None:
        """Runs every `tick_s`, between messages. Its failure restarts the actor."""

    async def finish(self) -> None:
        """Runs once when all input has ended and been handled; may still emit. Its failure is logged."""

    async def teardown(self) -> None:
        """Runs at every stop, after a crash too, in a shielded scope of limited time; may emit. Failure is logged."""

    async def dispose(self, message: Any, reason: str) -> None:
        """Runs, shielded, in any task, for what dies unhandled: erase it, say so downstream. Failure is logged."""

    async def emit(self, message: Any) -> bool:
        """Send `message` to everyone who consumes its type, by the policy each declared; False if one dropped it."""
        is_taken = True
        for inlet in self.outlets[type(message)]:
            is_taken &= await inlet.send(message)
        return is_taken


class Source(Actor):
    """An actor that makes messages instead of taking them."""

    async def produce(self) -> bool:
        """Make and emit some messages; False: that was all. Failure restarts; a stop cancels, without `finish`."""
        raise NotImplementedError


class AskTimeoutError(ActorError, TimeoutError):
    """The actor did not answer within the asker's deadline."""


class Address:
    """How others reach an actor beside the graph: over its control lane."""

    name: str
    mailbox: Mailbox

    def restart(self) -> None:
        """Restart the actor once it is done with what it holds: at once, and not counted as a failure."""
        self.mailbox.is_halted = True
        self.mailbox.wake()

    async def ask(self, request: Any, *, deadline_s: float) -> Any:
        """Put `request` to the actor and return its answer. One that has not begun by the deadline never will.

        Raises:
            AskTimeoutError: none came within `deadline_s`.
            ActorStopped: the actor ended first.
            ActorError: it could not answer; the text says why and names it.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.mailbox.tell_nowait((request, answer))
        with self.mailbox.clock.move_on_after(deadline_s):
            return await answer
        raise AskTimeoutError(self.name, f"did not answer within {deadline_s:g} s")
