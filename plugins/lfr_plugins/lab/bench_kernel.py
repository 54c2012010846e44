"""`bench --kernel`: what a message costs from actor to actor, beside a bare memory stream of anyio."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

import anyio
from msgspec import Struct

from lfr_kernel.api import Actor, Consumes, Edge, Policy, Source, System

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KernelReport", "measure_messages"]

CAPACITY = 128
AT_ONCE = 64
MESSAGES = AT_ONCE * 3_000


class KernelReport(Struct, frozen=True, kw_only=True):
    """All figures of `bench --kernel`."""

    capacity: int
    """Of the mailbox and of the stream."""
    messages: int
    """In each run."""
    pairs: int
    actors_per_s: float
    """Messages a second from actor to actor, median."""
    stream_per_s: float
    """Messages a second through `anyio.create_memory_object_stream`, median."""
    ratio: float
    """Actors / stream, median of the pairs."""


class _Message:
    pass


class _Producer(Source):
    produces = (_Message,)

    def __init__(self, messages: int) -> None:
        super().__init__("producer")
        self._left = messages
        self._message = _Message()

    async def produce(self) -> bool:
        for _ in range(min(AT_ONCE, self._left)):
            await self.emit(self._message)
        self._left -= AT_ONCE
        return self._left > 0


class _Consumer(Actor):
    consumes = (Consumes(message=_Message, policy=Policy(capacity=CAPACITY)),)

    async def handle(self, message: _Message) -> None:
        pass


def measure_messages(
    pairs: int, *, messages: int = MESSAGES, before_pair: Callable[[int], None] = lambda _: None
) -> KernelReport:
    """Send `messages` both ways, in turns.

    Args:
        pairs: how often.
        messages: how many each time.
        before_pair: told which pair begins, from 1.

    Raises:
        AssertionError: a message was lost on the way.
    """
    actors, streams = [], []
    for number in range(1, pairs + 1):
        before_pair(number)
        actors.append(messages / anyio.run(_through_actors, messages))
        streams.append(messages / anyio.run(_through_stream, messages))
    return KernelReport(
        capacity=CAPACITY,
        messages=messages,
        pairs=pairs,
        actors_per_s=round(median(actors)),
        stream_per_s=round(median(streams)),
        ratio=round(median(one / other for one, other in zip(actors, streams, strict=True)), 2),
    )


async def _through_actors(messages: int) -> float:
    edge = Edge(producer="producer", consumer="consumer", message=_Message, policy=Policy(capacity=CAPACITY))
    system = System([_Producer(messages), _Consumer("consumer")], [edge])
    began = time.perf_counter()
    await system.run()
    seconds = time.perf_counter() - began
    consumer = next(actor for actor in system.statistics().actors if actor.name == "consumer")
    _verify(consumer.handled, messages)
    return seconds


async def _through_stream(messages: int) -> float:
    sender, receiver = anyio.create_memory_object_stream[_Message](CAPACITY)
    message = _Message()
    received = 0

    async def send() -> None:
        async with sender:
            for _ in range(messages):
                await sender.send(message)

    began = time.perf_counter()
    async with anyio.create_task_group() as tasks, receiver:
        tasks.start_soon(send)
        async for _ in receiver:
            received += 1
    seconds = time.perf_counter() - began
    _verify(received, messages)
    return seconds


def _verify(received: int, sent: int) -> None:
    if received != sent:
        raise AssertionError(f"{sent} messages were sent, {received} arrived")
