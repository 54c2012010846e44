"""A record comes from the chain: what it says happened, when, by whom, and how often."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec import structs

from governance.alerts.support import DISMISSED_WRONG, ENGAGED, RIGHT, WRONG
from governance.deployment.support import NOTHING_SEEN, REPORT, look
from governance.lists.support import MODEL, a_row
from lfr_kernel.governance.alerts.steps import resume
from lfr_kernel.governance.alerts.vocabulary import Verdict
from lfr_kernel.governance.basis import Basis
from lfr_kernel.governance.deployment.register import end, extended, recall
from lfr_kernel.governance.deployment.rethreshold import Wish, confirm, propose
from lfr_kernel.governance.deployment.settling import settle_all
from lfr_kernel.governance.errors import AuditError, RefusedError, SignatureError
from lfr_kernel.governance.keys.signing import verify
from lfr_kernel.governance.record import making
from lfr_kernel.governance.record.making import (
    arrests,
    calibrate,
    finalise,
    record_of,
    signed_record,
    why_not_final,
)
from lfr_kernel.governance.record.statements import RECORD, Calibration, Counted, Record, Span

if TYPE_CHECKING:
    from governance.alerts.support import Duty, OpenDuty
    from governance.deployment.support import Site
    from lfr_kernel.governance.deployment.governed import Governed
    from lfr_kernel.governance.vault import Vault

OUTSIDE = Basis(state="outside", report="a" * 64, report_class="operational", reasons=("darker than tested",))


def at(minutes: int) -> str:
    """Write the time so many minutes after noon."""
    return f"2030-06-01T{12 + minutes // 60}:{minutes % 60:02}:00.000000000Z"


def record(duty: Duty) -> Record:
    return record_of(duty.site.vault, duty.serial)


def begun_again(duty: Duty) -> Governed:
    """Start a run once more, as after a crash."""
    duty.governed = duty.site.running(duty.plan)
    return duty.governed


def closed(duty: Duty, why: str = "closed", **counted: Any) -> None:
    """End the deployment with a run that stops in good order."""
    end(duty.site.vault, duty.serial, signer=duty.site.signers["dee"], why=why)
    duty.governed.begin_end(why, structs.replace(NOTHING_SEEN, **counted))
    duty.governed.finish()
    duty.governed.close()


def test_it_says_on_what_grounds_and_by_whom_it_was_authorised(duty: Duty) -> None:
    site, pass_ = duty.site, duty.site.clocks.pass_
    pass_(minutes=30)
    ends_ns = site.deployment().term.ends_ns + 30 * 60 * 10**9
    extended(site.vault, site.signers["ada"], 1, ends_ns=ends_ns, reason="in-progress", text="arrest")
    found = record(duty)
    grounds = found.grounds
    assert (grounds.id, grounds.place, grounds.purpose) == (
        "EX/1",
        "Station Square",
        "To find people wanted by the courts",
    )
    assert grounds.legal_basis == "common-law"
    assert grounds.legal_basis_title == (
        "Common law powers of the police, with Data Protection Act 2018 s.35 and Schedule 8"
    )
    assert (grounds.starts[:16], grounds.ends, grounds.extensions) == ("2030-06-01T12:00", at(90), 1)
    assert (grounds.signed_by, grounds.signed_at) == ("person ada", at(0))
    assert "refers to no impact assessment" in grounds.missing
    assert (found.organisation, found.installation_name, found.serial) == ("Example Police", "van-3", 1)
    assert (found.stage, found.ending, found.opened, found.ended) == ("open", None, at(0), None)
    assert (found.model, found.pack, found.is_final, found.made) == (MODEL, "uk-met", False, at(30))
    assert found.head.number == site.vault.database.head()[0]


def test_spans_are_those_during_which_cameras_were_looked_at(duty: Duty) -> None:
    site, pass_ = duty.site, duty.site.clocks.pass_
    assert record(duty).captured == (Span(starts=at(0), ends=None, why=""),)
    pass_(minutes=10)
    duty.governed.stopped("stopped", NOTHING_SEEN)
    duty.governed.close()
    pass_(minutes=5)
    site.crash(begun_again(duty))
    pass_(minutes=5)
    begun_again(duty)
    pass_(minutes=5)
    closed(duty)
    assert record(duty).captured == (
        Span(starts=at(0), ends=at(10), why="stopped"),
        Span(starts=at(15), ends=None, why="cut-off"),
        Span(starts=at(20), ends=at(25), why="closed"),
    )


def test_what_a_loss_of_power_ended_is_cut_off_and_no_time_is_made_up_for_it(duty: Duty) -> None:
    duty.site.clocks.pass_(minutes=10)
    duty.plant()
    duty.site.crash(duty.governed)
    duty.site.clocks.reboot()
    duty.site.clocks.set_wall(minutes=40 * 24 * 60)
    settle_all(duty.site.vault)
    found = record(duty)
    assert found.captured == (Span(starts=at(0), ends=None, why="cut-off"),)
    assert [(one.threshold, one.seconds) for one in found.thresholds] == [(0.64, 600)]
    assert (found.stage, found.ending, found.why) == ("closed", "failed", "clock")


def test_each_threshold_has_the_time_that_it_was_in_force_and_whoever_set_it(duty: Duty) -> None:
    site, pass_ = duty.site, duty.site.clocks.pass_
    pass_(minutes=10)
    wish = Wish(threshold=0.7, reason="false-alerts", text="three within the hour")
    propose(site.vault, site.signers["ada"], duty.plan, 1, wish=wish, tested=REPORT)
    confirm(site.vault, site.signers["eva"], 1)
    pass_(minutes=5)
    news = look(duty.governed).threshold
    assert news is not None
    duty.governed.took_up(news)
    pass_(minutes=5)
    duty.governed.stopped("stopped", NOTHING_SEEN)
    duty.governed.close()
    pass_(minutes=20)
    begun_again(duty)
    pass_(minutes=2)
    first, second, third = record(duty).thresholds
    # In force once the index had it, and not when it was signed; while nobody captured none was.
    assert (first.threshold, first.seconds, first.since, first.by, first.reason) == (0.64, 900, at(0), (), None)
    assert (second.threshold, second.seconds, second.since) == (0.7, 300, at(15))
    assert (second.by, second.reason) == (("authoriser ada", "data-protection eva"), "false-alerts")
    assert (third.threshold, third.seconds, third.since, third.by) == (0.7, 120, at(40), second.by)


def test_the_evidence_is_what_each_run_found_each_once(duty: Duty) -> None:
    none = Basis(state="none", reasons=())
    for basis in (OUTSIDE, none, OUTSIDE):
        duty.governed.look(NOTHING_SEEN, basis)
    first, second = record(duty).evidence
    assert (first.state, first.report, first.report_class, first.reasons) == (
        "outside", "a" * 64, "operational", ("darker than tested",),
    )  # fmt: skip
    assert (second.state, second.report) == ("none", None)


def test_the_list_is_there_by_counts_after_nothing_is_left_of_it(site: Site, open_duty: OpenDuty) -> None:
    site.rows = [
        a_row("ada", 1),
        a_row("ada", 2, source="open-source", under_18=True, higher_authority="Supt Example"),
        a_row("bob", 3, vulnerable=True, higher_authority="Supt Example"),
        a_row("cid", 4),
    ]
    duty = open_duty()
    recall(site.vault, site.signers["cem"], 1, site.rows[3].about.entry, reason="wrong-person", text=None)
    closed(duty)
    listed = record(duty).watchlist
    assert (listed.entries, listed.people, listed.withdrawn) == (4, 3, 1)
    assert (listed.categories, listed.sources) == ({"wanted-court": 4}, {"custody": 3, "open-source": 1})
    assert listed.conviction_status == {"convicted": 4}
    assert (listed.under_18, listed.vulnerable) == (1, 1)
    assert [(one.n, one.findings) for one in listed.samples] == [(4, {"ok": 4})]


def test_what_was_suspended_is_in_it(open_duty: OpenDuty) -> None:
    duty = open_duty(stop_min_false=1)
    duty.site.clocks.pass_(minutes=6)
    look(duty.governed, seen=50)
    for _ in range(2):
        alert = duty.plant()
        duty.assess(alert, Verdict.DISMISS)
        duty.close(alert, DISMISSED_WRONG)
        resume(duty.site.vault, duty.site.signers["ada"], 1, reason="checked", text=None)
        duty.site.clocks.pass_(minutes=4)
    found = record(duty).suspensions
    assert [(one.at, one.false, one.seen) for one in found] == [(at(6), 1, 50), (at(10), 2, 50)]


def test_what_is_counted_is_the_same_before_and_after_it_is_purged(duty: Duty) -> None:
    site = duty.site
    alerts = [duty.plant(entry=number % 2) for number in range(5)]
    duty.assess(alerts[0], Verdict.ENGAGE)
    duty.engage(alerts[0], ENGAGED)
    duty.close(alerts[0], RIGHT)
    duty.assess(alerts[1], Verdict.ENGAGE)
    duty.engage(alerts[1], ENGAGED)
    duty.close(alerts[1], WRONG)
    duty.assess(alerts[2], Verdict.DISMISS)
    duty.look(alerts[3])
    site.clocks.pass_(minutes=6)
    look(duty.governed, seen=900, alerts=5)
    closed(duty, seen=1_000, alerts=5, lost={"blurred": 7})
    before = record(duty).counted
    assert (before.seen, before.lost, before.raised, before.true, before.false) == (1_000, {"blurred": 7}, 5, 1, 1)
    assert (before.states, before.expired_open) == ({"dismissed": 1, "open": 1, "outcome": 2, "viewed": 1}, 0)
    site.clocks.pass_(days=32)
    settle_all(site.vault)
    assert record(duty).counted == structs.replace(before, expired_open=2)


def test_the_time_from_first_seeing_an_alert_is_that_of_whoever_decided_it(open_duty: OpenDuty) -> None:
    """Of two who assess it is the second, from their own first look: not the first's, and not since it was raised."""
    duty = open_duty(assessors=2)
    clocks, alert = duty.site.clocks, duty.plant()
    clocks.pass_(minutes=1)
    duty.look(alert, "dee")
    clocks.pass_(minutes=1)
    duty.look(alert, "dan")
    clocks.pass_(minutes=0.05)
    duty.look(alert, "dan")
    duty.assess(alert, Verdict.DISMISS, "dee")
    assert record(duty).counted.looked_s == ()
    clocks.now = structs.replace(clocks.now, utc_ns=clocks.now.utc_ns + 1_240_000_000)
    duty.assess(alert, Verdict.DISMISS, "dan")
    found = record(duty).counted
    assert (found.decision_s, found.looked_s) == ((124,), (4.2,))


def test_what_was_never_opened_has_a_record_too(site: Site) -> None:
    site.authorise()
    site.clocks.pass_(minutes=10)
    end(site.vault, 1, signer=site.signers["dee"], why="revoked")
    settle_all(site.vault)
    found = verify(finalise(site.vault, 1), RECORD, Record, [site.vault.signer.public])
    assert (found.is_final, found.stage, found.ending, found.opened, found.ended) == (
        True, "closed", "abandoned", None, at(10),
    )  # fmt: skip
    assert (found.model, found.captured, found.thresholds, found.evidence) == (None, (), (), ())
    listed = found.watchlist
    assert (listed.entries, listed.people, listed.under_18, listed.vulnerable) == (3, None, None, None)
    assert found.counted == Counted()


def test_it_says_why_it_cannot_be_final_yet(duty: Duty) -> None:
    vault = duty.site.vault
    duty.plant()
    assert why_not_final(vault, 1) == "deployment 1 is open, and not closed"
    with pytest.raises(RefusedError, match="cannot be final yet: deployment 1 is open"):
        finalise(vault, 1)
    closed(duty)
    expected = "1 of its alerts are still there, and may be decided on or corrected, until 2030-07-02T00:00Z"
    assert why_not_final(vault, 1) == expected
    with pytest.raises(RefusedError, match=expected):
        finalise(vault, 1)
    assert signed_record(vault, 1) is None
    duty.site.clocks.pass_(days=32)
    settle_all(vault)
    assert why_not_final(vault, 1) == ""


def test_it_is_made_final_once_and_nothing_is_added_after_that(duty: Duty) -> None:
    site, vault = duty.site, duty.site.vault
    closed(duty)
    first = finalise(vault, 1)
    site.clocks.pass_(hours=1)
    assert finalise(vault, 1) == first == signed_record(vault, 1)
    assert len(site.acts("record_signed")) == 1
    made = verify(first, RECORD, Record, [vault.signer.public])
    assert (made.is_final, made.made) == (True, at(0))
    with pytest.raises(RefusedError, match="the record of deployment 1 is final: nothing is added to it"):
        arrests(vault, site.signers["dee"], 1, 3, "")
    given = Calibration(people=1, passages=1, by="", how="by eye")
    with pytest.raises(RefusedError, match="is final"):
        calibrate(vault, site.signers["dee"], 1, given)
    assert site.acts("arrests_counted", "people_counted") == []
    site.expect_chain()


def test_two_who_make_it_final_at_once_make_one(duty: Duty, monkeypatch: pytest.MonkeyPatch) -> None:
    closed(duty)
    with duty.site.force.open(duty.site.vault.folder) as other:
        monkeypatch.setattr(making, "why_not_final", lambda *_: finalise_there(other, monkeypatch))
        made = finalise(duty.site.vault, 1)
        assert made == signed_record(other, 1)
    assert len(duty.site.acts("record_signed")) == 1


def finalise_there(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.undo()
    finalise(vault, 1)
    return ""


def test_a_final_record_that_was_changed_is_none(duty: Duty) -> None:
    closed(duty)
    made = finalise(duty.site.vault, 1)
    body = made.body.replace(b'"seen":0', b'"seen":9')
    assert body != made.body
    changed = structs.replace(made, payload=base64.b64encode(body).decode())
    with duty.site.vault.database.transaction() as transaction:
        transaction.execute("UPDATE records SET body = ?", (msgspec.json.encode(changed).decode(),))
    with pytest.raises(SignatureError):
        signed_record(duty.site.vault, 1)


@pytest.mark.parametrize("table", ["alerts", "entries"])
def test_alerts_that_were_removed_behind_the_audits_back_are_missed(duty: Duty, table: str) -> None:
    vault = duty.site.vault
    alerts = [duty.plant() for _ in range(3)]
    assert record(duty).counted.raised == 3
    if table == "alerts":
        with vault.database.transaction() as transaction:
            transaction.execute("DELETE FROM alerts WHERE id = ?", (alerts[1],))
        expected = "by the audit 3 alerts were raised, and what became of 2 is known"
    else:
        with vault.database.transaction() as transaction:
            transaction.execute("DROP TRIGGER entries_are_not_changed")
            transaction.execute(
                "UPDATE entries SET body = replace(body, 'alert_raised', 'alert_risen') WHERE number = ?",
                (duty.find(alerts[1]).entry,),
            )
        expected = "by the audit 2 alerts were raised, and what became of 3 is known"
    with pytest.raises(AuditError, match=expected):
        record(duty)
    closed(duty)
    duty.site.clocks.pass_(days=32)
    settle_all(vault)
    with pytest.raises(AuditError, match="keep the vault as it is and verify the audit"):
        finalise(vault, 1)


def test_a_record_is_of_one_moment_whatever_is_purged_meanwhile(duty: Duty, monkeypatch: pytest.MonkeyPatch) -> None:
    duty.plant()
    closed(duty)
    duty.site.clocks.pass_(days=32)
    other = duty.site.force.open(duty.site.vault.folder)
    database = duty.site.vault.database
    real = database.query

    def query(sql: str, params: Any = ()) -> Any:
        found = real(sql, params)
        if "ORDER BY number" in sql and "deployment" in sql:
            other.database._connection.execute("PRAGMA busy_timeout = 0")
            settle_all(other)
        return found

    monkeypatch.setattr(database, "query", query)
    assert record(duty).counted.raised == 1
    other.close()
    monkeypatch.undo()
    assert record(duty).counted.raised == 1
    assert duty.site.vault.database.query("SELECT count(*) FROM alerts") == [(0,)]


def test_there_is_no_record_of_what_was_not_authorised(site: Site) -> None:
    for ask in (record_of, finalise, why_not_final):
        with pytest.raises(RefusedError, match="there is no deployment 1: nothing was authorised yet"):
            ask(site.vault, 1)
