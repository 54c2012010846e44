"""A purge that is cut short, hindered or held up: the next one finishes it, and nobody is counted twice."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from governance.alerts.remains import left_of, of_alerts, rows_of, slices
from governance.alerts.support import DISMISSED_WRONG, ENGAGED, RIGHT
from governance.deployment.support import LIVE, NOTHING_SEEN
from lfr_kernel.governance.alerts.purging import purge
from lfr_kernel.governance.alerts.store import listed
from lfr_kernel.governance.alerts.vocabulary import Verdict
from lfr_kernel.governance.deployment.register import end
from lfr_kernel.governance.deployment.settling import settle_unless_running
from lfr_kernel.governance.errors import AuditError, KeyFileError, RefusedError
from lfr_kernel.governance.keys import files
from lfr_kernel.governance.record.making import record_of, signed_record
from lfr_kernel.governance.retention import retain, status
from lfr_kernel.governance.standing import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from governance.alerts.support import Duty, OpenDuty
    from governance.canaries import Needles
    from lfr_kernel.governance.vault import Vault

STEPS = 14
"""Count, key and rows of the pictures, and of the alerts; log; receipts. Record, begin, key, rows, log, receipt of the
texts."""
PURGED = ("alerts_expired", "pictures_purged", "alerts_purged", "record_signed", "texts_purged")


class DeathError(BaseException):
    """Whoever purges is no more."""


class Dying:
    """Lets whoever works on a vault die before or after one of the steps that last."""

    def __init__(self, vault: Vault, point: int | None = None) -> None:
        """Die at a point: even ones lie before a step, odd ones after it. None: count only."""
        self.steps = 0
        self._point = point
        database, keyring = vault.database, vault.keyring
        self._begin = database.transaction
        database.transaction = self._transaction  # type: ignore[method-assign]
        database.empty_log = self._step(database.empty_log)  # type: ignore[method-assign]
        keyring.destroy = self._step(keyring.destroy)  # type: ignore[method-assign]

    def _step(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def done(*arguments: Any) -> Any:
            self._die_at(2 * self.steps)
            found = step(*arguments)
            self._die_at(2 * self.steps + 1)
            self.steps += 1
            return found

        return done

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Any]:
        with self._begin() as transaction:
            yield transaction
            self._die_at(2 * self.steps)
        self._die_at(2 * self.steps + 1)
        self.steps += 1

    def _die_at(self, point: int) -> None:
        if point == self._point:
            raise DeathError


@pytest.fixture
def due(open_duty: OpenDuty) -> tuple[Duty, list[str], Needles]:
    """Return a deployment of which everything is too old at once: pictures, alerts and texts."""
    duty = open_duty(text_days=2, alert_days=1)
    alerts = [duty.plant(sinks=["radio"]) for _ in range(3)]
    duty.assess(alerts[0], Verdict.ENGAGE)
    duty.engage(alerts[0], ENGAGED)
    duty.close(alerts[0], RIGHT)
    duty.assess(alerts[1], Verdict.DISMISS)
    duty.close(alerts[1], DISMISSED_WRONG)
    needles = of_alerts(duty.site.vault, alerts)
    closed(duty)
    vault = duty.site.vault
    ((words,),) = vault.database.query(
        "SELECT sealed FROM texts JOIN entries ON number = entry WHERE act = 'authority_closed'"
    )
    ((document,),) = vault.database.query("SELECT document FROM deployments")
    needles["authority"] = [vault.keyring.get("text-1"), *slices(words), *slices(document)]
    assert left_of(vault.folder, needles) == needles.keys()
    duty.site.clocks.pass_(days=3)
    return duty, alerts, needles


def closed(duty: Duty) -> None:
    end(duty.site.vault, duty.serial, signer=duty.site.signers["dee"], why="closed", text="rain")
    duty.governed.begin_end("closed", NOTHING_SEEN)
    duty.governed.finish()
    duty.site.crash(duty.governed)


def expect_gone(duty: Duty, alerts: list[str], needles: Needles) -> None:
    """See that all of it is gone, and was counted once."""
    vault = duty.site.vault
    acts = duty.site.acts(*PURGED)
    assert sorted(one["act"] for one in acts) == sorted(PURGED)
    counted = next(one["facts"]["counted"] for one in acts if one["act"] == "alerts_expired")
    assert (counted["raised"], counted["truth"]) == (3, {"true": 1, "false": 1})
    assert [one["facts"]["count"] for one in acts if "count" in one["facts"]] == [3, 3]
    assert left_of(vault.folder, needles) == set()
    assert rows_of(vault, alerts) == {}
    assert vault.database.query("SELECT count(*) FROM purges") == [(0,)]
    assert vault.database.query("SELECT document FROM deployments") == [(None,)]
    assert [name for name in vault.keyring.names() if name.startswith(("alert-", "evidence-", "text-1"))] == []
    assert signed_record(vault, 1) is not None
    duty.site.expect_chain()


def test_a_purge_has_so_many_steps(due: tuple[Duty, list[str], Needles]) -> None:
    duty, alerts, needles = due
    vault = duty.site.force.open(duty.site.vault.folder)
    dying = Dying(vault)
    assert [one.kind for one in retain(vault)] == ["evidence", "alert", "text"]
    vault.close()
    assert dying.steps == STEPS
    expect_gone(duty, alerts, needles)


@pytest.mark.parametrize("point", range(2 * STEPS))
def test_whoever_dies_at_any_step_is_gone_on_after(due: tuple[Duty, list[str], Needles], point: int) -> None:
    duty, alerts, needles = due
    vault = duty.site.force.open(duty.site.vault.folder)
    Dying(vault, point)
    with pytest.raises(DeathError):
        retain(vault)
    vault.close()
    # Nobody is counted twice meanwhile, and what is not there any more is not made up.
    if duty.site.vault.keyring.has("text-1"):
        counted = record_of(duty.site.vault, 1).counted
        assert (counted.raised, counted.true, counted.false) == (3, 1, 1)
    retain(duty.site.vault)
    expect_gone(duty, alerts, needles)
    assert retain(duty.site.vault) == []


def test_what_was_begun_is_said_to_be_unfinished_until_there_is_a_receipt(
    due: tuple[Duty, list[str], Needles],
) -> None:
    duty, *_ = due
    vault = duty.site.force.open(duty.site.vault.folder)
    Dying(vault, 2 * 2 + 1)
    with pytest.raises(DeathError):
        purge(vault)
    vault.close()
    assert status(duty.site.vault).unfinished == 1
    retain(duty.site.vault)
    assert status(duty.site.vault).unfinished == 0


def fill(vault: Vault) -> None:
    """Leave no room on the disk."""
    connection = vault.database._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    for size in (10_000, 1_000, 10):
        with pytest.raises(AuditError, match="the disk is full"):
            write_on(vault, size)


def write_on(vault: Vault, size: int) -> None:
    while True:
        with vault.database.transaction() as transaction:
            vault.act(transaction, "clock_jumped", by=vault.signer, facts={"filler": "x" * size})


def forbid(vault: Vault) -> None:
    """Let nothing be written."""
    vault.database._connection.execute("PRAGMA query_only = 1")


@pytest.mark.parametrize("hinder", [fill, forbid])
def test_where_nothing_can_be_written_the_keys_go_all_the_same_and_the_record_says_of_how_many(
    due: tuple[Duty, list[str], Needles], hinder: Callable[[Vault], None]
) -> None:
    duty, alerts, needles = due
    vault = duty.site.force.open(duty.site.vault.folder)
    hinder(vault)
    with pytest.raises(AuditError, match=r"the disk is full|may not be written"):
        purge(vault)
    vault.close()
    assert [name for name in duty.site.vault.keyring.names() if name.startswith(("alert-", "evidence-"))] == []
    # Rows can be removed from a disk that is full.
    assert rows_of(duty.site.vault, alerts).keys() >= {"alerts", "steps", "deliveries"}
    with pytest.raises(RefusedError, match="has expired: its key is destroyed"):
        duty.look(alerts[0])
    assert [(one.kind, one.count) for one in purge(duty.site.vault)] == [("evidence", 3), ("alert", 3)]
    (act,) = duty.site.acts("alerts_expired")
    found = act["facts"]["counted"]
    assert (found["raised"], found["unread"], found["truth"]) == (3, 3, {})
    # How far people had come lies in clear, and is not lost.
    assert found["states"] == {"dismissed": 1, "open": 1, "outcome": 1}
    needles.pop("authority")
    assert left_of(duty.site.vault.folder, needles) == set()
    duty.site.expect_chain()


def test_texts_whose_key_had_to_go_before_anything_could_be_written_are_gone_for_good(
    due: tuple[Duty, list[str], Needles],
) -> None:
    duty, *_ = due
    purge(duty.site.vault)
    vault = duty.site.force.open(duty.site.vault.folder)
    forbid(vault)
    with pytest.raises(AuditError, match="may not be written"):
        retain(vault)
    vault.close()
    again = duty.site.vault
    assert not again.keyring.has("text-1")
    with pytest.raises(RefusedError, match="authority and all free texts of deployment 1 are gone"):
        again.text_key(1)
    assert not again.keyring.has("text-1")
    assert [one.kind for one in retain(again)] == ["text"]
    assert again.database.query("SELECT document FROM deployments") == [(None,)]
    assert signed_record(again, 1) is None
    assert len(duty.site.acts("texts_purged")) == 1
    assert retain(again) == []


def test_whoever_reads_the_database_holds_up_no_purge_and_the_receipt_does_not_claim_otherwise(duty: Duty) -> None:
    vault = duty.site.vault
    alert = duty.plant()
    needles = of_alerts(vault, [alert])
    duty.site.clocks.pass_(days=3)
    later = duty.plant()
    vault.database._connection.execute("PRAGMA busy_timeout = 0")
    reader = sqlite3.connect(vault.folder / "vault.db", isolation_level=None)
    try:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM alerts").fetchone() == (2,)
        duty.site.clocks.pass_(days=29)
        assert [one.kind for one in purge(vault)] == ["evidence", "evidence", "alert"]
    finally:
        reader.close()
    acts = duty.site.acts("pictures_purged", "alerts_purged")
    assert [one["facts"]["log_emptied"] for one in acts] == [False] * 3
    assert rows_of(vault, [alert]) == {}
    # What is left in the log is of no use to anybody, and goes with the next purge.
    assert not any(name.startswith("key") for name in left_of(vault.folder, needles))
    duty.site.clocks.pass_(days=4)
    purge(vault)
    assert duty.site.acts("alerts_purged")[-1]["facts"]["log_emptied"] is True
    assert left_of(vault.folder, needles) == set()
    assert [one.id for one in listed(vault.database)] == []
    assert rows_of(vault, [later]) == {}


def of_key(name: str, failure: OSError, real: Callable[..., Any]) -> Callable[..., Any]:
    """Let one key fail to be overwritten."""

    def zero(file: Any) -> None:
        if name in str(file.name):
            raise failure
        real(file)

    return zero


def test_nothing_becomes_of_an_alert_any_more_once_it_was_counted(duty: Duty) -> None:
    alert = duty.plant()
    duty.site.crash(duty.governed)
    duty.site.clocks.pass_(days=32)
    vault = duty.site.force.open(duty.site.vault.folder)
    Dying(vault, 7)  # once the count is in the chain, behind the three steps of the pictures
    with pytest.raises(DeathError):
        purge(vault)
    vault.close()
    assert duty.site.acts("alerts_expired")
    assert duty.site.vault.keyring.has(duty.find(alert).bucket.keyname)
    with pytest.raises(RefusedError, match="what became of it is counted already"):
        duty.assess(alert, Verdict.DISMISS)


def test_a_key_that_cannot_be_overwritten_keeps_nothing_else_alive(duty: Duty, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = duty.site.vault
    duty.lives_s = (600, 600)
    alert = duty.plant()
    duty.site.clocks.pass_(minutes=5)
    duty.plant()
    duty.site.crash(duty.governed)
    duty.site.clocks.pass_(minutes=61)
    first = duty.find(alert).bucket.keyname
    with monkeypatch.context() as patch:
        patch.setattr(files, "_zero", of_key(first, OSError(5, "Input/output error"), files._zero))
        with pytest.raises(KeyFileError, match="was removed, but could not be overwritten before"):
            settle_unless_running(vault)
    # The others went, and so did the list of the deployment that is over.
    assert [name for name in vault.keyring.names() if name.startswith(("alert-", "evidence-"))] == []
    assert [one.id for one in listed(vault.database)] == [alert]
    assert duty.site.deployment().stage is Stage.CLOSED
    assert record_of(vault, 1).counted.raised == 2
    assert [(one.kind, one.count) for one in purge(vault)] == [("alert", 1)]
    assert [one["facts"]["count"] for one in duty.site.acts("alerts_purged")] == [1, 1]
    assert len(duty.site.acts("alerts_expired")) == 2
    duty.site.expect_chain()


def test_where_nothing_can_be_written_the_key_of_a_deployment_that_is_over_goes_too(duty: Duty) -> None:
    duty.lives_s = (600, 600)
    duty.plant()
    duty.site.crash(duty.governed)
    duty.site.clocks.pass_(minutes=61)
    governed = duty.site.governed()
    forbid(governed._vault)
    with pytest.raises(AuditError, match="may not be written"):
        governed.issue("authority", LIVE)
    names = duty.site.vault.keyring.names()
    assert [name for name in names if name.startswith(("alert-", "evidence-", "deployment-"))] == []


def test_what_else_lies_in_the_way_is_counted_as_unread(duty: Duty) -> None:
    vault = duty.site.vault
    alert, other = duty.plant(), duty.plant()
    with vault.database.transaction() as transaction:
        transaction.execute("UPDATE texts SET sealed = x'00' WHERE entry = ?", (duty.find(alert).entry,))
        transaction.execute("UPDATE pictures SET sealed = x'00' WHERE alert = ?", (other,))
    duty.site.clocks.pass_(days=31)
    assert [(one.kind, one.count) for one in purge(vault)] == [("evidence", 2), ("alert", 2)]
    (act,) = duty.site.acts("alerts_expired")
    assert (act["facts"]["counted"]["raised"], act["facts"]["counted"]["unread"]) == (2, 1)


def test_a_key_without_its_alerts_goes_at_its_time(duty: Duty) -> None:
    vault = duty.site.vault
    duty.plant()
    with vault.database.transaction() as transaction:
        transaction.execute("DELETE FROM alerts")
    duty.site.clocks.pass_(days=31)
    assert purge(vault) == []
    assert [name for name in vault.keyring.names() if name.startswith(("alert-", "evidence-"))] == []
