"""Retention: stores are told on time what to destroy, ceilings hold, and receipts are added up."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.stages.conftest import Feeder

from lfr_kernel.messages import Expire, Receipt
from lfr_kernel.runtime import Actor, System
from lfr_kernel.stages.retention import CEILINGS_S, RetentionHost
from lfr_kernel.testing.fakes import FakeRetention

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from lfr_kernel.stages.retention import RecordClass
    from lfr_kernel.testing import VirtualClock

pytestmark = pytest.mark.anyio


class Store(Actor):
    """Keeps the times of records, and forgets them when it is told to."""

    def __init__(self, name: str, *at_ns: int) -> None:
        super().__init__(name)
        self.kept = list(at_ns)
        self.asked: list[int] = []
        self.is_broken = False

    async def answer(self, request: Any) -> Any:
        assert isinstance(request, Expire)
        self.asked.append(request.before_ns)
        if self.is_broken:
            raise OSError("the disk is full")
        before = len(self.kept)
        self.kept = [at_ns for at_ns in self.kept if at_ns >= request.before_ns]
        return Receipt(destroyed=before - len(self.kept))


class Kept:
    """Retention over some stores, running."""

    def __init__(self, seconds: float) -> None:
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.retention = RetentionHost(lambda: FakeRetention(seconds), period_s=60, log=self.log)

    def log(self, event: str, **facts: Any) -> None:
        self.logged.append((event, facts))


@pytest.fixture
def keeping(clock: VirtualClock) -> Callable[..., Any]:
    @asynccontextmanager
    async def run(seconds: float, *stores: tuple[RecordClass, Store]) -> AsyncIterator[Kept]:
        kept = Kept(seconds)
        retention = kept.retention
        actors = [Feeder(()), *(store for _, store in stores), retention]
        system = System(actors, [], clock=clock, drain_s=1)
        retention.stores = [(kind, system.address(store.name)) for kind, store in stores]
        async with anyio.create_task_group() as tasks:
            await tasks.start(system.run)
            yield kept
            tasks.cancel_scope.cancel()

    return run


S = 1_000_000_000


async def test_every_store_is_told_in_time_and_receipts_add_up(
    keeping: Callable[..., Any], clock: VirtualClock
) -> None:
    now_ns = clock.utc_ns()
    evidence = Store("desk", now_ns, now_ns + 30 * S, now_ns + 200 * S)
    alerts = Store("sink:file", now_ns)
    async with keeping(50, ("evidence", evidence), ("alert", alerts)) as kept:
        await clock.advance(59)
        assert evidence.asked == []
        await clock.advance(1)
        assert evidence.asked == [now_ns + 10 * S]
        assert kept.retention.facts().destroyed == {"evidence": 1, "alert": 1}
        await clock.advance(60)
        assert evidence.kept == [now_ns + 200 * S]
        assert kept.retention.facts().destroyed == {"evidence": 2, "alert": 1}
    assert ("records_destroyed", {"store": "desk", "of": "evidence", "count": 1}) in kept.logged


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (60.0, {"alert": 60.0, "evidence": 60.0}),
        (1e9, CEILINGS_S),
        (float("inf"), CEILINGS_S),
        (float("nan"), {"alert": 0.0, "evidence": 0.0}),
        (-5.0, {"alert": 0.0, "evidence": 0.0}),
    ],
)
async def test_a_plugin_can_shorten_the_ceilings_and_nothing_else(
    keeping: Callable[..., Any], clock: VirtualClock, seconds: float, expected: dict[str, float]
) -> None:
    async with keeping(seconds) as kept:
        await clock.advance()
        assert kept.retention.facts().seconds == expected


def test_the_ceilings_are_a_month_and_a_day() -> None:
    assert CEILINGS_S == {"alert": 31 * 86_400, "evidence": 86_400}


async def test_a_store_that_fails_is_asked_again_and_holds_up_no_other(
    keeping: Callable[..., Any], clock: VirtualClock
) -> None:
    broken, whole = Store("sink:broken", clock.utc_ns()), Store("sink:whole", clock.utc_ns())
    broken.is_broken = True
    async with keeping(10, ("alert", broken), ("alert", whole)) as kept:
        await clock.advance(60)
        assert whole.kept == []
        assert kept.retention.facts().last_error == "sink:broken: OSError: the disk is full"
        assert kept.logged[0][0] == "retention_failed"
        broken.is_broken = False
        await clock.advance(60)
        assert broken.kept == []
        assert kept.retention.facts().destroyed == {"alert": 2}


class Stuck(Store):
    async def answer(self, request: Any) -> Any:
        self.asked.append(request.before_ns)
        await anyio.sleep_forever()


async def test_a_store_that_hangs_is_left_and_the_next_one_asked(
    keeping: Callable[..., Any], clock: VirtualClock
) -> None:
    stuck, whole = Stuck("sink:stuck"), Store("desk", clock.utc_ns())
    async with keeping(10, ("alert", stuck), ("evidence", whole)) as kept:
        await clock.advance(60 + 29)
        assert whole.asked == []
        await clock.advance(2)
        assert whole.kept == []
        assert "did not answer within 30 s" in kept.retention.facts().last_error


async def test_a_clock_that_jumps_forward_destroys_what_is_old_by_then_and_one_that_jumps_back_nothing(
    keeping: Callable[..., Any], clock: VirtualClock
) -> None:
    now_ns = clock.utc_ns()
    store = Store("desk", now_ns)
    async with keeping(600, ("evidence", store)):
        clock.jump_utc(-3_600)
        await clock.advance(60)
        assert store.asked == [now_ns - 4_140 * S]
        assert store.kept == [now_ns]
        clock.jump_utc(3_600 + 86_400)
        await clock.advance(60)
        assert store.kept == []
