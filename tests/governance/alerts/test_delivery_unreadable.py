"""An alert that cannot be read holds up no other and ends no run; and pictures are read off the event loop."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec import structs

from governance.alerts.post import SINK, Picky, Post, entries_of, row_of
from lfr_kernel.governance.alerts import outbox
from lfr_kernel.governance.audit import database
from lfr_kernel.governance.errors import AuditError, KeyFileError, SealError
from lfr_kernel.governance.keys.sealing import wrap
from lfr_kernel.runtime import ActorFailed
from lfr_kernel.testing import InlineLane
from lfr_kernel.testing.fakes import an_alert

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from governance.alerts.support import Duty
    from lfr_kernel.messages import Notice
    from lfr_kernel.stages.sink import Evidence

pytestmark = pytest.mark.anyio


def old_and_new(duty: Duty) -> tuple[str, str]:
    """Plant two alerts that wait, under keys of their own."""
    old = duty.plant(sinks=SINK)
    duty.site.clocks.pass_(days=2)
    new = duty.plant(sinks=SINK)
    assert duty.find(old).bucket != duty.find(new).bucket
    return old, new


def key_file(duty: Duty, alert: str) -> Path:
    return duty.site.vault.keyring.folder / f"{duty.find(alert).bucket.keyname}.key"


async def expect_dead(duty: Duty, dead: str, alive: str, why: str) -> None:
    """Expect that one is given up, in the log and in the chain, and the other delivered at once."""
    post = Post(duty)
    async with post.running() as run:
        await post.clock.advance(1)
        assert post.ids == [alive]
        await run.send(an_alert())
        await post.clock.advance(60)
    assert post.ids == [alive]
    assert row_of(duty, dead) == ("dead", 0, why)
    assert entries_of(duty, "alert_undeliverable") == [{"deployment": 1, "alert": dead, "sink": "list"}]
    assert [(event, facts["alert"]) for event, facts in post.logged] == [("alert_given_up", dead)]
    assert why in post.logged[0][1]["error"]
    assert (post.host.facts().given_up, post.host.facts().undelivered) == (1, 0)
    duty.site.expect_chain()


async def test_an_alert_whose_key_is_destroyed_is_a_dead_letter_and_holds_nothing_up(duty: Duty) -> None:
    old, new = old_and_new(duty)
    assert duty.site.vault.keyring.destroy(duty.find(old).bucket.keyname)
    await expect_dead(duty, old, new, "key_gone")


def seal(duty: Duty, alert: str, sealed: bytes) -> None:
    with duty.site.vault.database.transaction() as transaction:
        transaction.execute("UPDATE texts SET sealed = ? WHERE entry = ?", (sealed, duty.find(alert).entry))


def damage(duty: Duty, alert: str, _: pytest.MonkeyPatch) -> None:
    seal(duty, alert, b"\0" * 64)


def replace(duty: Duty, alert: str, _: pytest.MonkeyPatch) -> None:
    kept = duty.find(alert)
    key = duty.site.vault.keyring.get(kept.bucket.keyname)
    seal(duty, alert, wrap(key, b"{}", database._purpose(kept.entry)))


def remove(duty: Duty, alert: str, _: pytest.MonkeyPatch) -> None:
    with duty.site.vault.database.transaction() as transaction:
        transaction.execute("DELETE FROM texts WHERE entry = ?", (duty.find(alert).entry,))


def mistake(_: Duty, alert: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = outbox.proposal_of

    def fail(vault: Any, kept: Any) -> Any:
        if kept.id == alert:
            raise msgspec.ValidationError("Object missing required field `alert`")
        return read(vault, kept)

    monkeypatch.setattr(outbox, "proposal_of", fail)


@pytest.mark.parametrize("spoil", [damage, replace, remove, mistake])
async def test_an_alert_that_is_not_what_was_signed_is_a_dead_letter_and_ends_no_run(
    duty: Duty, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Duty, str, pytest.MonkeyPatch], None]
) -> None:
    old, new = duty.plant(sinks=SINK), duty.plant(sinks=SINK)
    spoil(duty, old, monkeypatch)
    post = await Post(duty).deliver(60)
    assert post.ids == [new]
    assert row_of(duty, old) == ("dead", 0, "changed")
    assert [one["alert"] for one in entries_of(duty, "alert_undeliverable")] == [old]
    assert [(event, facts["alert"]) for event, facts in post.logged] == [("alert_given_up", old)]


async def test_a_key_that_cannot_be_read_now_costs_a_try_and_the_alert_is_delivered_once_it_can(duty: Duty) -> None:
    old, new = old_and_new(duty)
    file = key_file(duty, old)
    mode = stat.S_IMODE(file.stat().st_mode)
    file.chmod(0o644)
    post = Post(duty)
    async with post.running():
        tries = []
        for _ in range(10):
            await post.clock.advance(1)
            tries.append(row_of(duty, old)[1])
        assert post.ids == [new]
        assert tries == [1, 2, 3, 4, 4, 5, 5, 5, 5, 6]
        assert row_of(duty, old) == ("waiting", 6, "key_unreadable")
        file.chmod(mode)
        await post.clock.advance(10)
        assert post.ids == [new, old]
    assert {event for event, _ in post.logged} == {"alert_not_delivered"}
    assert entries_of(duty, "alert_undeliverable") == []


async def test_a_database_that_cannot_be_read_ends_the_run_and_gives_no_alert_up(duty: Duty) -> None:
    alert = duty.plant(sinks=SINK)
    duty.site.vault.database._connection.execute("ALTER TABLE texts RENAME TO elsewhere")
    post = Post(duty)
    with pytest.raises(ActorFailed, match=r"sink:list: .*vault\.db: .*no such table: texts"):
        await post.deliver(60)
    assert (post.ids, post.sink.closed) == ([], 1)
    assert row_of(duty, alert) == ("waiting", 0, None)


# ---- pictures -----------------------------------------------------------------------------------------------------


class Curious(Picky):
    """Asks for the pictures of each alert, and of another one."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Evidence | None] = []
        self.post: Post

    async def deliver(self, notice: Notice) -> None:
        assert notice.alert is not None
        self.seen.append(self.ask(notice.alert.evidence))
        assert self.ask("another") is None
        await super().deliver(notice)

    def ask(self, reference: str) -> Evidence | None:
        try:
            return self.post.host._context.evidence(reference)
        except KeyError:
            return None


def curious(duty: Duty, show: Callable[[str], Any], vault: InlineLane | None = None) -> tuple[str, Curious]:
    """Plant an alert, and return it with a sink that asks for its pictures."""
    alert = duty.alert()
    assert duty.keep(structs.replace(alert, evidence=alert.id), sinks=SINK)
    sink = Curious()
    sink.post = Post(duty, sink, show=show, details=True, pictures=True, vault=vault)
    return alert.id, sink


async def test_a_sink_sees_the_pictures_of_the_alert_in_hand_and_of_no_other(duty: Duty) -> None:
    keeper = duty.governed.keeper(InlineLane(), shorter_s=lambda: duty.lives_s, sinks=SINK)
    alert, sink = curious(duty, keeper.show)
    await sink.post.deliver()
    (seen,) = sink.seen
    assert seen is not None
    assert (seen.probe == 7).all()
    assert seen.listed[..., 0].tobytes() == duty.site.rows[0].portrait
    assert sink.ask(alert) is None  # nothing is held once it is delivered


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (KeyError("erased"), []),
        (SealError("it was changed"), ["pictures_unreadable"]),
        (KeyFileError("others can read it"), ["pictures_unreadable"]),
        (PermissionError("not yours"), ["pictures_unreadable"]),
        (msgspec.DecodeError("no pictures"), ["pictures_unreadable"]),
    ],
    ids=lambda one: type(one).__name__,
)
async def test_pictures_that_cannot_be_read_are_none_to_a_sink_and_end_no_run(
    duty: Duty, error: Exception, logged: list[str]
) -> None:
    def fail(_: str) -> None:
        raise error

    alert, sink = curious(duty, fail)
    await sink.post.deliver()
    assert (sink.seen, sink.post.ids) == ([None], [alert])
    assert [event for event, _ in sink.post.logged] == logged


async def test_a_vault_that_fails_as_pictures_are_read_ends_the_run_and_gives_no_alert_up(duty: Duty) -> None:
    lane = InlineLane(fail_at={2: AuditError("the disk is gone")})
    alert, sink = curious(duty, lambda _: pytest.fail("the lane fails before"), vault=lane)
    with pytest.raises(ActorFailed, match="sink:list: the disk is gone"):
        await sink.post.deliver(1)
    assert (sink.seen, sink.closed) == ([], 1)
    assert row_of(duty, alert) == ("waiting", 0, None)
