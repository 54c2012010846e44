"""A vault that cannot be written, or hangs, ends the run; and what is gone from it is delivered by nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from governance.alerts.post import BUSY, SINK, Picky, Post, entries_of, row_of
from lfr_kernel.governance.alerts.purging import purge
from lfr_kernel.governance.answering import WRITE_S
from lfr_kernel.governance.errors import AuditError
from lfr_kernel.runtime import ActorFailed
from lfr_kernel.testing import InlineLane, VirtualClock
from lfr_kernel.testing.fakes import an_alert

if TYPE_CHECKING:
    from governance.alerts.support import Duty
    from lfr_kernel.messages import Notice

pytestmark = pytest.mark.anyio

DAYS = 32


async def test_what_a_sink_has_and_nobody_wrote_down_is_delivered_again_with_the_same_id(duty: Duty) -> None:
    alert = duty.plant(sinks=SINK)
    sink = Picky()
    with pytest.raises(ActorFailed, match="list: the machine is gone"):
        await Post(duty, sink, vault=InlineLane(fail_at={2: AuditError("the machine is gone")})).deliver(1)
    assert row_of(duty, alert)[0] == "waiting"
    await Post(duty, sink).deliver()
    assert [one.id for one in sink.delivered] == [alert, alert]
    assert len(entries_of(duty, "alert_delivered")) == 1


def block(duty: Duty) -> None:
    duty.governed._vault.database._connection.execute("PRAGMA query_only = 1")


async def test_a_vault_that_cannot_be_written_ends_the_run_and_the_plugin_is_closed(duty: Duty) -> None:
    alert = duty.plant(sinks=SINK)
    post = Post(duty)
    block(duty)
    with pytest.raises(ActorFailed, match=r"sink:list: .*vault\.db: it may not be written"):
        await post.deliver(60)
    assert (post.ids, post.sink.closed) == ([alert], 1)
    assert row_of(duty, alert) == ("waiting", 0, None)


async def test_a_failure_that_cannot_be_written_down_ends_the_run_too(duty: Duty) -> None:
    alert = duty.plant(sinks=SINK)
    post = Post(duty, Picky([alert]))
    block(duty)
    with pytest.raises(ActorFailed, match=r"sink:list: .*vault\.db: it may not be written"):
        await post.deliver(60)
    assert len(post.sink.tried) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("hang_at", [range(1, 100), range(2, 100)], ids=["reading", "writing"])
async def test_a_vault_that_hangs_ends_the_run_and_the_plugin_is_closed(duty: Duty, hang_at: range) -> None:
    duty.plant(sinks=SINK)
    clock = VirtualClock()
    post = Post(duty, vault=InlineLane(hang_at=hang_at, clock=clock))
    post.clock = clock
    with pytest.raises(ActorFailed, match="sink:list: the vault did not answer within 30 s, and what cannot"):
        await post.deliver(2 + WRITE_S)
    assert post.sink.closed == 1


@pytest.mark.parametrize(("call", "hook"), [(2, "finish"), (3, "teardown")])
async def test_a_vault_that_fails_as_a_run_ends_leaves_the_plugin_closed(duty: Duty, call: int, hook: str) -> None:
    post = Post(duty, vault=InlineLane(fail_at={call: AuditError("the disk is gone")}))
    async with post.running() as run:
        await post.clock.advance(1)
    assert post.sink.closed == 1
    assert [(event, facts["hook"], facts["error"]) for event, facts in run.log] == [
        ("hook_failed", hook, "the disk is gone")
    ]


def is_gone(duty: Duty, alert: str) -> bool:
    """Destroy the key under which an alert lies, as a purge does first."""
    return duty.site.vault.keyring.destroy(duty.find(alert).bucket.keyname)


async def test_what_has_expired_is_not_delivered_although_nothing_has_purged_it_yet(duty: Duty) -> None:
    alert = duty.plant(sinks=SINK)
    duty.site.clocks.pass_(days=DAYS)
    assert (await Post(duty).deliver(10)).ids == []
    assert row_of(duty, alert)[0] == "waiting"


async def test_what_is_purged_while_it_waits_is_gone(duty: Duty) -> None:
    alert = duty.plant(sinks=SINK)
    post = Post(duty, Picky([alert]))
    async with post.running() as run:
        await post.clock.advance(3)
        duty.site.clocks.pass_(days=DAYS)
        purge(duty.site.vault)
        await run.send(an_alert())
        await post.clock.advance(60)
    assert duty.site.vault.database.query("SELECT * FROM deliveries") == []
    assert (post.ids, post.host.facts().undelivered) == ([], 0)


@pytest.mark.parametrize("error", [None, BUSY], ids=["taken", "refused"])
async def test_what_is_purged_while_a_sink_has_it_in_hand_leaves_nothing_behind(
    duty: Duty, error: Exception | None
) -> None:
    alert = duty.plant(sinks=SINK)

    class Slow(Picky):
        async def deliver(self, notice: Notice) -> None:
            duty.site.clocks.pass_(days=DAYS)
            purge(duty.site.vault)
            await super().deliver(notice)

    post = await Post(duty, Slow([alert] if error else [])).deliver(5)
    assert post.ids == ([] if error else [alert])
    assert entries_of(duty, "alert_delivered") == []
    assert duty.site.vault.database.query("SELECT * FROM deliveries") == []
    duty.site.expect_chain()
