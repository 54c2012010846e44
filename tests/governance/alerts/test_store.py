"""How alerts are kept and found again: once each, under a key, and never other than they were signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from governance.alerts.support import DISMISSED_WRONG
from lfr_kernel.governance.alerts.states import State
from lfr_kernel.governance.alerts.store import (
    deliverable,
    expiring,
    find,
    listed,
    pictures_of,
    proposal_of,
    steps_of,
)
from lfr_kernel.governance.alerts.vocabulary import Verdict
from lfr_kernel.governance.audit.database import Database
from lfr_kernel.governance.errors import AuditError, RefusedError, SealError

if TYPE_CHECKING:
    from typing import Any

    from governance.alerts.support import Duty, OpenDuty


def rows(duty: Duty) -> dict[str, list[Any]]:
    """Everything that the database has of alerts, and the head of the chain."""
    tables = ("alerts", "pictures", "steps", "deliveries", "texts")
    query = duty.site.vault.database.query
    found: dict[str, list[Any]] = {name: query(f"SELECT * FROM {name}") for name in tables}  # noqa: S608
    return found | {"head": [duty.site.vault.database.head()]}


def tamper(duty: Duty, sql: str, *params: object) -> None:
    with duty.site.vault.database.transaction() as transaction:
        transaction.execute(sql, params)


def test_an_alert_is_found_by_its_id_and_by_the_beginning_of_it(duty: Duty) -> None:
    one, other = duty.plant(id="aa10" * 4), duty.plant(id="aa20" * 4)
    database = duty.site.vault.database
    assert find(database, one).id == find(database, "aa1").id == one
    assert find(database, "aa20a").id == other


def test_the_beginning_of_several_is_refused(duty: Duty) -> None:
    for name in ("aa10" * 4, "aa20" * 4):
        duty.plant(id=name)
    with pytest.raises(RefusedError, match="several alerts begin with 'aa': give more of its id"):
        find(duty.site.vault.database, "aa")


@pytest.mark.parametrize("name", ["", "b", "aa10" * 4 + "0", "a%", "*", "AA1", "a_10"])
def test_what_is_no_beginning_of_any_finds_none(duty: Duty, name: str) -> None:
    duty.plant(id="aa10" * 4)
    with pytest.raises(RefusedError, match=f"there is no alert {name!r}: it never was here".replace("*", r"\*")):
        find(duty.site.vault.database, name)


def test_alerts_are_listed_newest_first_by_deployment_state_and_number(duty: Duty) -> None:
    alerts = []
    for _ in range(4):
        alerts.append(duty.plant())
        duty.site.clocks.pass_(minutes=0.25)
    duty.look(alerts[1])
    database = duty.site.vault.database
    assert [one.id for one in listed(database)] == alerts[::-1]
    assert [one.id for one in listed(database, limit=2)] == alerts[:1:-1]
    assert [one.id for one in listed(database, states=[State.VIEWED])] == [alerts[1]]
    assert [one.id for one in listed(database, states=[State.OPEN, State.VIEWED], limit=1)] == [alerts[3]]
    assert listed(database, deployment=2) == []
    assert len(listed(database, deployment=1)) == 4
    assert [one.id for one in expiring(database, duty.find(alerts[0]).bucket)] == alerts


def test_what_was_proposed_and_both_pictures_are_kept_and_nothing_of_them_lies_in_clear(duty: Duty) -> None:
    alert = duty.alert(person="person-of-interest", basis="report 0123456789abcdef")
    assert duty.keep(alert, entry=0)
    kept, vault = duty.find(alert.id), duty.site.vault
    proposal, pictures = proposal_of(vault, kept), pictures_of(vault, kept)
    assert proposal.alert == alert
    assert proposal.about is not None
    assert proposal.about.person == "ada"
    assert pictures is not None
    assert (pictures.reader, pictures.listed) == ("letters", b"portrait 1")
    assert repr(pictures) == "<Pictures>"
    remains = duty.site.remains()
    for secret in (b"person-of-interest", b"0123456789abcdef", b"portrait 1", proposal.about.entry.encode()):
        assert secret not in remains


def test_an_alert_that_is_there_already_is_left_as_it_is(duty: Duty) -> None:
    alert = duty.alert()
    assert duty.keep(alert, sinks=("case",))
    duty.assess(alert.id, Verdict.DISMISS)
    before = rows(duty)
    assert duty.keep(structs.replace(alert, camera="yard"), sinks=("case", "other"))
    assert rows(duty) == before


def test_while_alerts_are_suspended_nothing_is_written(open_duty: OpenDuty) -> None:
    duty = open_duty(stop_min_false=1)
    alert = duty.plant()
    duty.assess(alert, Verdict.DISMISS)
    duty.close(alert, DISMISSED_WRONG)
    before = rows(duty)
    assert not duty.keep(duty.alert(), sinks=("case",))
    assert rows(duty) == before


def test_an_alert_that_cannot_be_written_is_not_there_by_half(duty: Duty) -> None:
    duty.plant()
    before = rows(duty)
    with pytest.raises(AuditError):
        duty.keep(duty.alert(), sinks=("case", "case"))  # one delivery for each sink: the second breaks it off
    assert rows(duty) == before


@pytest.mark.parametrize("what", ["removed", "exchanged"])
@pytest.mark.parametrize("of", ["proposal", "step"])
def test_a_text_that_is_not_the_one_that_was_signed_is_an_error_of_the_audit(duty: Duty, of: str, what: str) -> None:
    alert = duty.plant()
    duty.assess(alert, Verdict.ENGAGE)
    kept, vault = duty.find(alert), duty.site.vault
    number = kept.entry if of == "proposal" else steps_of(vault, kept)[-1].entry
    if what == "removed":
        tamper(duty, "DELETE FROM texts WHERE entry = ?", number)
    else:
        forge(duty, number)
    match = f"entry {number} of the audit: what is kept of alert {alert} is not what was signed there"
    with pytest.raises(AuditError, match=match):
        proposal_of(vault, kept) if of == "proposal" else steps_of(vault, kept)
    if of == "step":
        with pytest.raises(AuditError, match=match):
            duty.engage(alert)


def forge(duty: Duty, number: int) -> None:
    """Exchange a text as somebody could who has the database and the key: sealed all right, and never signed."""
    vault, other = duty.site.vault, duty.site.folder / "other.db"
    (one,) = listed(vault.database)
    key = vault.keyring.get(one.bucket.keyname)
    text = vault.database.text(number, key)
    assert text is not None
    Database.create(other, clocks=duty.site.clocks).close()
    with Database(other, clocks=duty.site.clocks) as database:
        with database.transaction() as transaction:
            for _ in range(number):
                forged = text.replace('"engage"', '"dismiss"').replace('"gate"', '"yard"')
                transaction.append("x", signer=vault.signer, text=forged, text_key=key)
        ((sealed,),) = database.query("SELECT sealed FROM texts WHERE entry = ?", (number,))
    tamper(duty, "UPDATE texts SET sealed = ? WHERE entry = ?", sealed, number)


def test_a_text_that_was_moved_from_another_entry_does_not_open(duty: Duty) -> None:
    one, other = duty.find(duty.plant()), duty.find(duty.plant())
    tamper(duty, "DELETE FROM texts WHERE entry = ?", one.entry)
    tamper(duty, "UPDATE texts SET entry = ? WHERE entry = ?", one.entry, other.entry)
    with pytest.raises(SealError):
        proposal_of(duty.site.vault, one)


def test_pictures_of_another_alert_do_not_open(duty: Duty) -> None:
    one, other = duty.plant(), duty.plant()
    tamper(
        duty, "UPDATE pictures SET sealed = (SELECT sealed FROM pictures WHERE alert = ?) WHERE alert = ?", other, one
    )
    with pytest.raises(SealError):
        pictures_of(duty.site.vault, duty.find(one))


def test_without_its_key_an_alert_has_expired_whatever_rows_there_are(duty: Duty) -> None:
    alert = duty.plant()
    duty.look(alert)
    kept, vault = duty.find(alert), duty.site.vault
    assert deliverable(vault, kept)
    vault.keyring.destroy(kept.bucket.keyname)
    match = f"alert {alert} has expired: its key is destroyed, and nothing of it can be read"
    with pytest.raises(RefusedError, match=match):
        proposal_of(vault, kept)
    with pytest.raises(RefusedError, match=match):
        steps_of(vault, kept)
    with pytest.raises(RefusedError, match=match):
        duty.look(alert)
    assert not deliverable(vault, kept)
    assert duty.state(alert) is State.VIEWED


@pytest.mark.parametrize("what", ["key", "row"])
def test_pictures_may_be_gone_before_their_alert(duty: Duty, what: str) -> None:
    alert = duty.plant()
    if what == "row":
        tamper(duty, "DELETE FROM pictures WHERE alert = ?", alert)
    else:
        ((name,),) = [[one] for one in duty.site.vault.keyring.names() if one.startswith("evidence-")]
        duty.site.vault.keyring.destroy(name)
    assert pictures_of(duty.site.vault, duty.find(alert)) is None
    duty.assess(alert, Verdict.DISMISS)
    assert duty.state(alert) is State.DISMISSED


def test_an_alert_on_an_entry_that_was_withdrawn_meanwhile_says_so(duty: Duty) -> None:
    listed_now = duty.governed.listed
    assert listed_now is not None
    for entry in [*listed_now._by_row[1]]:
        listed_now.withdraw(entry)
    kept = duty.find(duty.plant(entry=1))
    assert proposal_of(duty.site.vault, kept).about is None
    pictures = pictures_of(duty.site.vault, kept)
    assert pictures is not None
    assert pictures.listed is None
    assert pictures.probe


def test_an_alert_was_delivered_when_an_operator_first_had_it_and_not_later(duty: Duty) -> None:
    alert = duty.plant()
    duty.look(alert, "fay")
    assert duty.find(alert).delivered_ns is None
    first_ns = duty.site.clocks.now.utc_ns
    duty.look(alert, "dee")
    duty.site.clocks.pass_(minutes=5)
    duty.assess(alert, Verdict.ENGAGE, "dan")
    assert duty.find(alert).delivered_ns == first_ns
    assert duty.find(alert).is_actionable(duty.site.clocks.now.utc_ns)
    actionable = [one["facts"].get("actionable") for one in duty.site.acts("alert_viewed", "alert_assessed")]
    assert actionable == [True, None, None]


def test_nobody_decides_to_engage_on_what_they_first_had_too_late(duty: Duty) -> None:
    alert = duty.plant()
    duty.site.clocks.pass_(minutes=1)
    with pytest.raises(RefusedError, match="came too late for anybody to act on it"):
        duty.assess(alert, Verdict.ENGAGE)
    assert duty.state(alert) is State.VIEWED
    duty.assess(alert, Verdict.DISMISS)
    with pytest.raises(RefusedError, match="came too late for anybody to act on it"):
        duty.assess(alert, Verdict.ENGAGE, is_correction=True)
    assert duty.site.acts("alert_viewed")[0]["facts"]["actionable"] is False
