"""Inlets and mailboxes: what is kept, what is dropped, who waits, and in which order."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from lfr_kernel.runtime import ActorError, ActorStopped, Mailbox, Overflow, Policy
from lfr_kernel.runtime.mailbox import CONTROL_CAPACITY
from runtime.support import Note, is_conserved, notes

if TYPE_CHECKING:
    from lfr_kernel.runtime import Inlet
    from lfr_kernel.testing import VirtualClock

pytestmark = pytest.mark.anyio


class Box(Mailbox):
    """A mailbox that remembers what it disposed of."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__("box", clock, self._note)
        self.disposed: list[tuple[int, str]] = []

    async def _note(self, message: Any, reason: str) -> None:
        await anyio.lowlevel.checkpoint()
        self.disposed.append((message.number, reason))

    def open(self, policy: Policy, *, producer: str = "feed", feedback: bool = False) -> Inlet:
        return self.inlet(producer, Note, policy, feedback=feedback)

    def take(self, most: int = 1000) -> list[int]:
        taken: list[int] = []
        while len(taken) < most and (found := self.receive_nowait()) is not None:
            taken.append(found[1].number)
        return taken


@pytest.fixture
def box(clock: VirtualClock) -> Box:
    return Box(clock)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"capacity": 0}, "capacity must be at least 1, got 0"),
        ({"overflow": Overflow.LATEST_PER_KEY}, "a key goes with latest_per_key"),
        ({"key": attrgetter("key")}, "a key goes with latest_per_key, and only with it"),
        ({"overflow": Overflow.DROP_OLDEST, "patience_s": 1.0}, "patience_s goes with block only, got drop_oldest"),
    ],
)
async def test_a_policy_that_makes_no_sense_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Policy(**options)


async def test_drop_oldest_keeps_the_newest(box: Box) -> None:
    inlet = box.open(Policy(overflow=Overflow.DROP_OLDEST, capacity=3))
    assert [await inlet.send(note) for note in notes(*range(10))] == [True] * 10
    assert box.disposed == [(number, "overflow") for number in range(7)]
    assert box.take() == [7, 8, 9]
    statistics = inlet.statistics()
    assert (statistics.received, statistics.handled, statistics.queued) == (10, 3, 0)
    assert statistics.dropped == {"overflow": 7}


async def test_latest_per_key_replaces_in_place(box: Box) -> None:
    inlet = box.open(Policy(overflow=Overflow.LATEST_PER_KEY, capacity=2, key=attrgetter("key")))
    for number, key in enumerate("abaab"):
        await inlet.send(Note(number, key))
    assert box.disposed == [(0, "overflow"), (2, "overflow"), (1, "overflow")]
    assert box.take() == [3, 4], "a was there first, and keeps its place"
    assert inlet.statistics().dropped == {"overflow": 3}


async def test_latest_per_key_is_bounded_in_keys(box: Box) -> None:
    inlet = box.open(Policy(overflow=Overflow.LATEST_PER_KEY, capacity=2, key=attrgetter("key")))
    for number, key in enumerate("abc"):
        await inlet.send(Note(number, key))
    assert box.disposed == [(0, "overflow")]
    assert box.take() == [1, 2]


async def test_block_waits_and_loses_nothing(box: Box, clock: VirtualClock) -> None:
    inlet = box.open(Policy(capacity=4))
    async with anyio.create_task_group() as tasks:
        for note in notes(*range(10)):
            tasks.start_soon(inlet.send, note)
        await clock.advance(1e6)
        assert inlet.statistics().queued == 4
        assert inlet.statistics().received == 4, "who waits has not been received yet"
        received = []
        while len(received) < 10:
            received += box.take(1)
            await clock.advance()
            assert inlet.statistics().queued <= 4
    assert received == list(range(10)), "those who wait are let in as they came"
    assert box.disposed == []


async def test_waiting_senders_come_in_when_half_is_free(box: Box, clock: VirtualClock) -> None:
    inlet = box.open(Policy(capacity=4))
    async with anyio.create_task_group() as tasks:
        for note in notes(*range(6)):
            tasks.start_soon(inlet.send, note)
        await clock.advance()
        assert (box.take(1), inlet.statistics().queued) == ([0], 3)
        assert (box.take(1), inlet.statistics().queued) == ([1], 4)
        box.take()


async def test_nobody_overtakes_a_waiting_sender(box: Box, clock: VirtualClock) -> None:
    inlet = box.open(Policy(capacity=4))
    async with anyio.create_task_group() as tasks:
        for note in notes(*range(5)):
            tasks.start_soon(inlet.send, note)
        await clock.advance()
        box.take(1)
        tasks.start_soon(inlet.send, Note(5))  # finds a free place, and number 4 before itself
        await clock.advance()
        assert box.take() == [1, 2, 3, 4, 5]


async def test_patience_runs_out(box: Box, clock: VirtualClock) -> None:
    inlet = box.open(Policy(capacity=1, patience_s=2.0))
    await inlet.send(Note(0))
    results = []

    async def send() -> None:
        results.append(await inlet.send(Note(1)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await clock.advance(1.999)
        assert results == []
        await clock.advance(0.001)
        assert results == [False]
    assert box.disposed == [(1, "overflow")]
    assert inlet.statistics().dropped == {"overflow": 1}
    assert box.take() == [0]


async def test_patience_does_not_run_out_beside_a_free_place(box: Box, clock: VirtualClock) -> None:
    inlet = box.open(Policy(capacity=4, patience_s=2.0))
    async with anyio.create_task_group() as tasks:
        for note in notes(*range(5)):
            tasks.start_soon(inlet.send, note)
        await clock.advance(1.0)
        assert box.take(1) == [0]
        await clock.advance(10.0)
    assert box.disposed == []
    assert box.take() == [1, 2, 3, 4]


async def test_a_sender_that_is_cancelled_takes_its_message_along(box: Box, clock: VirtualClock) -> None:
    inlet = box.open(Policy(capacity=1))
    await inlet.send(Note(0))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(inlet.send, Note(1))
        await clock.advance()
        tasks.cancel_scope.cancel()
    assert box.disposed == [(1, "stopped")], "shielded: the hook got to its end"
    assert box.take() == [0]
    assert is_conserved(inlet.statistics())


async def test_a_closed_inlet_takes_nothing(box: Box) -> None:
    inlet = box.open(Policy())
    inlet.close()
    assert not await inlet.send(Note(0))
    assert box.disposed == [(0, "closed")]
    assert inlet.statistics().dropped == {"closed": 1}


async def test_death_disposes_of_all_and_turns_senders_away(box: Box, clock: VirtualClock) -> None:
    inlet = box.open(Policy(capacity=2))
    results = []

    async def send(note: Note) -> None:
        results.append(await inlet.send(note))

    async with anyio.create_task_group() as tasks:
        for note in notes(0, 1, 2, 3):
            tasks.start_soon(send, note)
        await clock.advance()
        await box.die("stopped")
    assert results == [True, True, False, False]
    assert sorted(box.disposed) == [(0, "stopped"), (1, "stopped"), (2, "closed"), (3, "closed")]
    assert not await inlet.send(Note(4))
    assert inlet.statistics().dropped == {"stopped": 2, "closed": 3}
    assert is_conserved(inlet.statistics())


async def test_messages_come_in_the_order_of_arrival_across_inlets(box: Box) -> None:
    left, right = box.open(Policy(), producer="left"), box.open(Policy(), producer="right")
    for number in range(6):
        await (left if number % 3 else right).send(Note(number))
    assert box.take() == [0, 1, 2, 3, 4, 5]


async def test_what_is_put_back_comes_first(box: Box) -> None:
    left, right = box.open(Policy(capacity=2), producer="left"), box.open(Policy(capacity=2), producer="right")
    for number in range(4):
        await (left if number % 2 else right).send(Note(number))
    batch = [found for found in (box.receive_nowait(), box.receive_nowait()) if found is not None]
    await left.send(Note(4))
    box.put_back(batch)
    assert left.statistics().queued == 3, "more than fits, for once"
    assert box.take() == [0, 1, 2, 3, 4]
    assert is_conserved(left.statistics())


async def test_the_input_is_over_when_every_inlet_has_closed_but_feedback(box: Box) -> None:
    first, second = box.open(Policy()), box.open(Policy())
    back = box.open(Policy(overflow=Overflow.DROP_OLDEST), feedback=True)
    first.close()
    assert not box.is_over
    await second.send(Note(0))
    second.close()
    assert box.is_over
    assert box.take() == [0], "what waits is still there"
    assert not await box.wait()
    assert not back.is_closed


async def test_feedback_alone_never_ends(box: Box) -> None:
    box.open(Policy(overflow=Overflow.DROP_OLDEST), feedback=True).close()
    assert not box.is_over


async def test_a_message_wakes_whoever_waits(box: Box, clock: VirtualClock) -> None:
    inlet = box.open(Policy())
    woken = []

    async def wait() -> None:
        woken.append(await box.wait())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        tasks.start_soon(wait)
        await clock.advance()
        assert woken == []
        await inlet.send(Note(0))
    assert woken == [True, True]


async def test_the_control_lane_is_bounded_and_says_so(box: Box) -> None:
    for number in range(CONTROL_CAPACITY):
        box.tell_nowait(number)
    with pytest.raises(ActorError, match="box: control lane full with 1024 messages; it hangs"):
        box.tell_nowait("one more")
    assert len(box.control) == CONTROL_CAPACITY


async def test_nobody_reads_the_control_lane_of_the_dead(box: Box) -> None:
    await box.die("stopped")
    with pytest.raises(ActorStopped, match="box: has stopped already"):
        box.tell_nowait("hello")


async def test_statistics_are_frozen(box: Box) -> None:
    inlet = box.open(Policy(capacity=5))
    before = inlet.statistics()
    await inlet.send(Note(0))
    assert (before.queued, inlet.statistics().queued) == (0, 1)
    with pytest.raises(AttributeError):
        before.queued = 7  # type: ignore[misc]
    assert (before.producer, before.message, before.overflow, before.capacity) == ("feed", "Note", "block", 5)
