"""A sink's outbox: in order, each alert until it is delivered or given up for good, and no sink waits for another."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stages.conftest import Feeder

from lfr_kernel.messages import Alert, Expire, Notice
from lfr_kernel.runtime import (
    ActorError,
    AskTimeoutError,
    Edge,
    PassingError,
    PermanentError,
    Policy,
    RestartPolicy,
    System,
    SystemClock,
    ThreadLane,
)
from lfr_kernel.stages.desk import EvidenceWithheldError
from lfr_kernel.stages.sink import SinkHost, SinkLimits, notice_of
from lfr_kernel.testing.fakes import Faults, ListSink, a_notice, an_alert

if TYPE_CHECKING:
    from tests.stages.conftest import HostFunction, TimedLane

    from lfr_kernel.api import Evidence, SinkContext
    from lfr_kernel.testing import VirtualClock

pytestmark = pytest.mark.anyio

STEADY = SinkLimits(jitter=0.0)
BUSY = PassingError("the broker is busy")


def no_evidence(reference: str) -> Evidence:
    raise KeyError(reference)


def hosted_sink(sink: Any, lane: TimedLane, name: str = "list", **more: Any) -> SinkHost:
    settings = {"limits": STEADY, "evidence": no_evidence, "details": True, **more}
    return SinkHost(name, lambda _: sink, lane, **settings)


async def test_alerts_are_delivered_in_order(host: HostFunction, lane: TimedLane) -> None:
    sink = ListSink()
    actor = hosted_sink(sink, lane)
    async with host(actor) as hosted:
        await hosted.send(*(an_alert(number) for number in range(5)))
        await hosted.finish()
    assert sink.delivered == [a_notice(number) for number in range(5)]
    assert sink.closed == 1
    facts = actor.facts()
    assert (facts.delivered, facts.retries, facts.given_up, facts.last_error) == (5, 0, 0, None)


async def test_what_fails_is_tried_again_with_growing_waits_and_keeps_its_place(
    host: HostFunction, lane: TimedLane, clock: VirtualClock
) -> None:
    sink = ListSink(Faults(dict.fromkeys(range(1, 4), BUSY)))
    actor = hosted_sink(sink, lane)
    async with host(actor) as hosted:
        await hosted.send(an_alert(1), an_alert(2))
        await clock.advance(0.5 + 1 + 1.9)
        assert sink.delivered == []
        assert actor.facts().retries == 3
        assert actor.facts().last_error == "the broker is busy"
        await clock.advance(0.2)
        assert sink.delivered == [a_notice(1), a_notice(2)]


async def test_an_outage_of_a_whole_night_loses_nothing(
    host: HostFunction, lane: TimedLane, clock: VirtualClock
) -> None:
    sink = ListSink(Faults(dict.fromkeys(range(1, 1_200), BUSY)))
    async with host(hosted_sink(sink, lane), RestartPolicy(max_restarts=0)) as hosted:
        await hosted.send(an_alert())
        await clock.advance(1_200 * 30)
        assert sink.delivered == [a_notice()]


async def test_what_can_never_be_delivered_is_given_up_and_named(host: HostFunction, lane: TimedLane) -> None:
    logged: list[tuple[str, Any]] = []
    sink = ListSink(Faults({2: PermanentError("the file is on a read-only disk")}))
    actor = hosted_sink(sink, lane, log=lambda event, **facts: logged.append((event, facts)))
    async with host(actor) as hosted:
        await hosted.send(*(an_alert(number) for number in range(3)))
        assert sink.delivered == [a_notice(0), a_notice(2)]
        assert (actor.facts().delivered, actor.facts().given_up) == (2, 1)
        assert hosted.statistics.restarts == 0
    ((event, facts),) = logged
    assert event == "alert_given_up"
    assert facts == {"sink": "list", "alert": an_alert(1).id, "error": "the file is on a read-only disk"}


async def test_without_details_no_more_leaves_than_that_there_is_an_alert(host: HostFunction, lane: TimedLane) -> None:
    sink = ListSink()
    async with host(hosted_sink(sink, lane, details=False)) as hosted:
        await hosted.send(an_alert())
    assert sink.delivered == [a_notice(details=False)]
    text = msgspec.json.encode(sink.delivered).decode()
    for withheld in (an_alert().person, an_alert().passage, str(an_alert().similarity), an_alert().model):
        assert withheld not in text


@given(details=st.booleans(), state=st.sampled_from(["open", "viewed", "dismissed"]), is_actionable=st.booleans())
def test_a_notice_says_of_an_alert_what_a_sink_may_know(state: str, *, details: bool, is_actionable: bool) -> None:
    alert = msgspec.structs.replace(an_alert(), act_by_ns=5)
    notice = notice_of(alert, details=details, state=state, is_actionable=is_actionable)
    assert (notice.state, notice.is_actionable, notice.act_by_ns) == (state, is_actionable, 5)
    assert (notice.id, notice.camera, notice.permit) == (alert.id, alert.camera, alert.permit)
    assert (notice.captured_at_ns, notice.alerted_at_ns) == (alert.captured_at_ns, alert.alerted_at_ns)
    assert notice.alert == (alert if details else None)


async def test_what_comes_late_is_delivered_and_says_that_nobody_can_act_on_it(
    host: HostFunction, lane: TimedLane, clock: VirtualClock
) -> None:
    sink = ListSink(Faults({2: BUSY, 3: BUSY}))
    act_by_ns = clock.utc_ns() + 1_000_000_000
    async with host(hosted_sink(sink, lane)) as hosted:
        for number in (1, 2):
            await hosted.send(msgspec.structs.replace(an_alert(number), act_by_ns=act_by_ns))
        await clock.advance(0.5 + 1 + 0.1)
        assert [one.is_actionable for one in sink.delivered] == [True, False]
        await hosted.send(an_alert(3))
        assert sink.delivered[2].is_actionable  # nobody said by when


class Curious(ListSink):
    """Looks at the evidence of every alert."""

    def __init__(self, context: SinkContext) -> None:
        super().__init__()
        self._context = context

    async def deliver(self, notice: Notice) -> None:
        assert notice.alert is not None
        self._context.evidence(notice.alert.evidence)
        await self._context.run_blocking(partial(self.delivered.append, notice))


async def test_evidence_that_is_withheld_gives_the_alert_up_with_the_reason(
    host: HostFunction, lane: TimedLane
) -> None:
    def withheld(_: str) -> Evidence:
        raise EvidenceWithheldError("sink 'curious' may not see pictures: set evidence = true for it in the profile")

    actor = SinkHost("curious", Curious, lane, evidence=withheld, details=True)
    async with host(actor) as hosted:
        await hosted.send(an_alert())
        assert (actor.facts().delivered, actor.facts().given_up) == (0, 1)
        assert "set evidence = true" in (actor.facts().last_error or "")


class Hanging(ListSink):
    """Hangs the first time."""

    tries = 0

    async def deliver(self, notice: Notice) -> None:
        self.tries += 1
        if self.tries == 1:
            await anyio.sleep_forever()
        await super().deliver(notice)


async def test_a_try_that_hangs_is_cut_short_and_tried_again(
    host: HostFunction, lane: TimedLane, clock: VirtualClock
) -> None:
    sink = Hanging()
    actor = hosted_sink(sink, lane)
    async with host(actor) as hosted:
        await hosted.send(an_alert())
        await clock.advance(10.4)
        assert sink.delivered == []
        assert actor.facts().last_error == "sink 'list' did not take the alert within 10 s"
        await clock.advance(0.2)
        assert sink.delivered == [a_notice()]


async def test_a_sink_that_is_stuck_holds_no_other_up(clock: VirtualClock, lane: TimedLane) -> None:
    stuck, quick = ListSink(Faults(dict.fromkeys(range(1, 10_000), BUSY))), ListSink()
    feeder = Feeder([Alert])
    feeder.give(*(an_alert(number) for number in range(500)))
    feeder.end()
    hosts = [hosted_sink(stuck, lane, "stuck"), hosted_sink(quick, lane, "quick")]
    edges = [Edge(producer="feeder", consumer=one.name, message=Alert, policy=one.consumes[0].policy) for one in hosts]
    system = System([feeder, *hosts], edges, clock=clock, drain_s=1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(system.run)
        await clock.advance(5)
        assert len(quick.delivered) == 500
        assert hosts[1].facts().delivered == 500
        assert stuck.delivered == []
        system.stop("seen enough")
        await clock.advance(5)


class Leaky(ListSink):
    async def expire(self, before_ns: int) -> int:
        if before_ns > 10**18 * 2:
            raise OSError("the disk is full")
        return await super().expire(before_ns)


async def test_a_sink_expires_what_it_is_told_to_and_says_when_it_cannot(host: HostFunction, lane: TimedLane) -> None:
    sink = Leaky()
    async with host(hosted_sink(sink, lane)) as hosted:
        await hosted.send(an_alert(1), an_alert(2))
        assert (await hosted.ask(Expire(before_ns=an_alert(2).alerted_at_ns))).destroyed == 1
        assert sink.delivered == [a_notice(2)]
        with pytest.raises(ActorError, match="OSError: the disk is full"):
            await hosted.ask(Expire(before_ns=10**19))
        with pytest.raises(ActorError, match="does not understand int"):
            await hosted.ask(7)
        assert hosted.statistics.restarts == 0


async def test_a_sink_that_cannot_be_made_fails_the_start(lane: TimedLane, clock: VirtualClock) -> None:
    def create(_: SinkContext) -> Any:
        raise PermanentError("alerts.jsonl cannot be opened")

    actor = SinkHost("file", create, lane, evidence=no_evidence)
    with pytest.raises(PermanentError, match=r"alerts.jsonl cannot be opened"):
        await System([actor], [], clock=clock).run()


async def test_the_context_lends_evidence_and_a_lane() -> None:
    shown: list[str] = []
    made: list[Curious] = []

    def create(context: SinkContext) -> Curious:
        made.append(Curious(context))
        return made[-1]

    def show(reference: str) -> Any:
        shown.append(reference)

    clock = SystemClock()
    lane = ThreadLane("sink:curious", clock=clock)
    actor = SinkHost("curious", create, lane, evidence=show, details=True, pictures=True)
    feeder = Feeder([Alert])
    feeder.give(an_alert())
    feeder.end()
    edge = Edge(producer="feeder", consumer=actor.name, message=Alert, policy=Policy())
    with anyio.fail_after(5):
        await System([feeder, actor], [edge], lanes=[lane], clock=clock).run()
    assert shown == [an_alert().evidence]
    assert made[0].delivered == [a_notice()]


async def test_a_stuck_sink_cannot_expire_and_whoever_asks_is_told_in_time(
    host: HostFunction, lane: TimedLane, clock: VirtualClock
) -> None:
    sink = ListSink(Faults(dict.fromkeys(range(1, 10_000), BUSY)))
    async with host(hosted_sink(sink, lane)) as hosted:
        await hosted.send(an_alert())
        failures: list[ActorError] = []

        async def ask() -> None:
            try:
                await hosted.ask(Expire(before_ns=0))
            except ActorError as error:
                failures.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await clock.advance(6)
        assert isinstance(failures[0], AskTimeoutError)
