"""What lies in the vault is delivered: until a sink has it, once if it knows it again, and never what has expired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec import structs

from governance.alerts.post import BUSY, SINK, STEADY, Picky, Post, entries_of, row_of
from governance.deployment.support import NOTHING_SEEN
from lfr_kernel.governance.alerts.vocabulary import Verdict
from lfr_kernel.governance.deployment.register import end
from lfr_kernel.governance.deployment.wiping import settle
from lfr_kernel.runtime import PermanentError
from lfr_kernel.testing.fakes import Faults, ListSink, an_alert, digest_of

if TYPE_CHECKING:
    from governance.alerts.support import Duty

pytestmark = pytest.mark.anyio


async def test_what_waits_is_delivered_without_anybody_waking_the_host_and_written_down_once(duty: Duty) -> None:
    alert = duty.plant(sinks=SINK)
    post = Post(duty)
    async with post.running() as run:
        await post.clock.advance(1)
        assert post.ids == [alert]
        await run.send(an_alert())
        await post.clock.advance(5)
    assert post.ids == [alert]
    assert entries_of(duty, "alert_delivered") == [
        {"deployment": 1, "alert": alert, "sink": "list", "actionable": True}
    ]
    assert row_of(duty, alert) == ("delivered", 0, None)
    facts = post.host.facts()
    assert (facts.delivered, facts.retries, facts.given_up, facts.undelivered) == (1, 0, 0, 0)
    duty.site.expect_chain()


async def test_whoever_had_it_first_says_when_it_was_delivered(duty: Duty) -> None:
    alert = duty.plant(sinks=("list", "slow"))
    first_ns = duty.site.clocks.now.utc_ns
    await Post(duty).deliver()
    duty.site.clocks.pass_(minutes=10)
    await Post(duty, name="slow").deliver()
    assert duty.find(alert).delivered_ns == first_ns
    assert [one["sink"] for one in entries_of(duty, "alert_delivered")] == ["list", "slow"]


async def test_the_oldest_goes_first(duty: Duty) -> None:
    alerts = [duty.alert() for _ in range(3)]
    for alert in reversed(alerts):
        raised_ns = alert.alerted_at_ns + int(alert.id, 16)
        assert duty.keep(msgspec.structs.replace(alert, alerted_at_ns=raised_ns), sinks=SINK)
    assert (await Post(duty).deliver()).ids == [one.id for one in alerts]


async def test_what_fails_is_tried_again_with_growing_pauses(duty: Duty) -> None:
    alert = duty.plant(sinks=SINK)
    post = Post(duty, Picky([alert]))
    assert isinstance(post.sink, Picky)
    async with post.running():
        tries = []
        for _ in range(40):
            await post.clock.advance(1)
            tries.append(len(post.sink.tried))
    # After half a second, a second, two, four and so on, seen at every full one.
    assert [tries.index(number) + 1 for number in range(1, 7)] == [1, 2, 3, 5, 9, 17]
    assert tries[-1] == 7
    state, tried, why = row_of(duty, alert)
    assert (state, tried, why) == ("waiting", 8, "PassingError")
    assert post.host.facts().last_error == "the broker is busy"
    assert entries_of(duty, "alert_delivered") == []


async def test_once_a_sink_took_something_its_pauses_begin_anew(duty: Duty) -> None:
    first = duty.plant(sinks=SINK)
    post = Post(duty, ListSink(Faults(dict.fromkeys((1, 2, 3, 4, 5, 7), BUSY))))
    async with post.running() as run:
        await post.clock.advance(17)
        assert post.ids == [first]
        second = duty.plant(sinks=SINK)
        await run.send(an_alert())
        await run.settle()
        assert post.ids == [first]
        await post.clock.advance(1)
        assert post.ids == [first, second]


async def test_a_new_alert_breaks_through_the_pause_and_goes_first(duty: Duty) -> None:
    old = duty.plant(sinks=SINK)
    post = Post(duty, ListSink(Faults(dict.fromkeys(range(1, 7), BUSY))))
    async with post.running() as run:
        await post.clock.advance(18)
        assert post.ids == []
        new = duty.plant(sinks=SINK)
        await post.clock.advance(1)
        assert post.ids == []
        await run.send(an_alert())
        await run.settle()
        assert post.ids == [new, old]


async def test_wake_ups_that_are_dropped_lose_nothing(duty: Duty) -> None:
    post = Post(duty, ListSink(Faults({1: BUSY})))
    async with post.running() as run:
        alerts = [duty.plant(sinks=SINK) for _ in range(20)]
        for _ in alerts:
            await run.send(an_alert())
        await post.clock.advance(2)
        assert sorted(post.ids) == sorted(alerts)
    assert [event for event, _ in post.logged] == ["alert_not_delivered"]


async def test_what_a_sink_refuses_for_good_is_a_dead_letter_and_holds_nothing_up(duty: Duty) -> None:
    dead, alive = duty.plant(sinks=SINK), duty.plant(sinks=SINK)
    refused = PermanentError("no such topic: Ada Lovelace")
    post = await Post(duty, Picky([dead], error=refused)).deliver(60)
    assert post.ids == [alive]
    assert entries_of(duty, "alert_undeliverable") == [{"deployment": 1, "alert": dead, "sink": "list"}]
    assert row_of(duty, dead) == ("dead", 0, "PermanentError")
    assert duty.find(dead).delivered_ns is None
    assert post.logged == [("alert_given_up", {"sink": "list", "alert": dead, "error": "no such topic: Ada Lovelace"})]
    assert b"Lovelace" not in duty.site.remains()
    assert (post.host.facts().given_up, post.host.facts().undelivered) == (1, 0)
    # It is not tried by the next run either.
    assert (await Post(duty).deliver(60)).ids == []
    duty.site.expect_chain()


@pytest.mark.parametrize("how", ["never", "hangs"])
async def test_an_alert_that_a_sink_chokes_on_holds_no_other_up(duty: Duty, how: str) -> None:
    poison, *others = (duty.plant(sinks=SINK) for _ in range(3))
    post = Post(duty, Picky(**{how: [poison]}))
    async with post.running() as run:
        await post.clock.advance(13)
        assert post.ids == others
        await post.clock.advance(60)
        new = duty.plant(sinks=SINK)
        await run.send(an_alert())
        await post.clock.advance(STEADY.try_s)
        assert post.ids == [*others, new]
        await post.clock.advance(10)  # so that nothing hangs as it ends
    state, tried, _ = row_of(duty, poison)
    assert state == "waiting"
    assert tried > 3


async def test_what_comes_too_late_says_so_to_the_sink_and_in_the_chain(duty: Duty) -> None:
    early, late = duty.plant(), duty.plant(sinks=SINK)
    duty.site.clocks.pass_(minutes=1)
    post = await Post(duty).deliver()
    (notice,) = post.sink.delivered
    assert (notice.id, notice.is_actionable, notice.act_by_ns) == (late, False, duty.find(late).act_by_ns)
    assert entries_of(duty, "alert_delivered") == [
        {"deployment": 1, "alert": late, "sink": "list", "actionable": False}
    ]
    assert duty.find(early).delivered_ns is None


async def test_each_sink_is_told_whether_it_comes_too_late_there_whoever_had_it_before(duty: Duty) -> None:
    alert = duty.plant(sinks=("list", "far"))
    await Post(duty).deliver()
    duty.site.clocks.pass_(minutes=10)
    far = await Post(duty, name="far").deliver()
    assert [(one.id, one.is_actionable) for one in far.sink.delivered] == [(alert, False)]
    assert [(one["sink"], one["actionable"]) for one in entries_of(duty, "alert_delivered")] == [
        ("list", True),
        ("far", False),
    ]


async def test_the_last_moment_to_act_is_still_in_time(duty: Duty) -> None:
    alert = duty.plant(sinks=SINK, act_by_ns=duty.site.clocks.now.utc_ns)
    post = await Post(duty).deliver()
    assert [(one.id, one.is_actionable) for one in post.sink.delivered] == [(alert, True)]


async def test_a_notice_says_how_far_people_have_come(duty: Duty) -> None:
    alert = duty.plant(sinks=SINK)
    duty.assess(alert, Verdict.DISMISS)
    (notice,) = (await Post(duty).deliver()).sink.delivered
    assert notice.state == "dismissed"


@pytest.mark.parametrize("details", [False, True])
async def test_who_was_recognised_leaves_the_vault_only_where_the_profile_says_so(
    duty: Duty,
    details: bool,  # noqa: FBT001  (a parameter of the test)
) -> None:
    planted = duty.alert()
    assert duty.keep(planted, sinks=SINK)
    given: dict[str, Any] = {"details": True} if details else {}
    (notice,) = (await Post(duty, **given).deliver()).sink.delivered
    assert notice.alert == (planted if details else None)
    assert (planted.person in msgspec.json.encode(notice).decode()) is details


async def test_what_waits_at_the_end_of_a_run_waits_for_the_next_one(duty: Duty) -> None:
    alerts = [duty.plant(sinks=SINK) for _ in range(2)]
    post = await Post(duty, Picky(alerts)).deliver(3)
    assert post.logged[-1] == ("alerts_wait", {"sink": "list", "alerts": 2, "error": "the broker is busy"})
    assert (post.host.facts().undelivered, post.sink.closed) == (2, 1)
    duty.governed.stopped("stopped", NOTHING_SEEN)
    duty.governed.close()
    duty.governed = duty.site.running(duty.plan)
    assert sorted((await Post(duty).deliver()).ids) == sorted(alerts)


async def test_what_waits_is_not_for_the_run_of_another_deployment(duty: Duty) -> None:
    site, alert = duty.site, duty.plant(sinks=SINK)
    duty.governed.close()
    end(site.vault, 1, signer=site.signers["dee"], why="closed")
    settle(site.vault)
    plan = structs.replace(duty.plan, list=site.folder / "second.lfrlist", profile_digest=digest_of("another"))
    site.authorise(plan, id="EX/2")
    duty.governed = site.running(plan)
    assert duty.serial == 2
    post = await Post(duty).deliver(10)
    assert (post.ids, post.host.facts().undelivered) == ([], 0)
    assert row_of(duty, alert)[0] == "waiting"
    mine = duty.plant(sinks=SINK)
    assert (await Post(duty).deliver()).ids == [mine]
