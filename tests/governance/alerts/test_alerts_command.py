"""`lfr-kernel alerts assess`, `engage`, `outcome`, `export` and `resume`: what they take, and what they refuse."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from governance.alerts.support import DISMISSED_WRONG
from governance.alerts.terminal import Terminal
from lfr_kernel.governance.alerts.exporting import Exported
from lfr_kernel.governance.alerts.statements import Assessed, Closed, Described, Engaged
from lfr_kernel.governance.alerts.store import steps_of
from lfr_kernel.governance.alerts.vocabulary import Cause, Force, Grounds, Known, Outcome, Proof, Truth, Verdict
from lfr_kernel.governance.keys.signing import Envelope
from lfr_kernel.governance.people.keyfiles import new_person
from lfr_kernel.governance.people.recipients import new_recipient

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from calling import Result
    from governance.alerts.support import Duty, OpenDuty
    from lfr_kernel.governance.alerts.statements import StepBody

TALK = (
    *("--power", "pace-24", "--force", "none", "--minutes", "4"),
    *("--not-searched", "--explained", "--complaint-route"),
)
RIGHT = ("--truth", "true", "--proof", "document")
WRONG = ("--truth", "false", "--proof", "known-person")
NOTHING_KNOWN = ("--sex", "not-recorded", "--age", "not-recorded", "--ethnicity", "not-recorded")
COURT = ("--reason", "court")


@pytest.fixture
def open_terminal(lfr: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> Callable[[Duty], Terminal]:
    return lambda duty: Terminal(duty, lfr, monkeypatch)


@pytest.fixture
def terminal(duty: Duty, open_terminal: Callable[[Duty], Terminal]) -> Terminal:
    return open_terminal(duty)


@pytest.fixture
def engaged(terminal: Terminal) -> str:
    """Return an alert on which somebody was engaged."""
    alert = terminal.duty.plant()
    terminal.duty.assess(alert, Verdict.ENGAGE)
    terminal.duty.engage(alert)
    return alert


def last(duty: Duty, alert: str) -> StepBody:
    return steps_of(duty.site.vault, duty.find(alert))[-1].body


def count(duty: Duty) -> int:
    return len(duty.site.acts())


# --- assess ---------------------------------------------------------------------------------------------------------


def test_somebody_who_has_looked_decides(terminal: Terminal) -> None:
    duty = terminal.duty
    alert = duty.plant()
    duty.look(alert)
    assert terminal.ok("assess", alert[:14], "--engage", "--text", "it is her") == f"alert {alert}: engage\n"
    body = last(duty, alert)
    assert isinstance(body, Assessed)
    assert (body.verdict, body.text, body.corrects) == (Verdict.ENGAGE, "it is her", None)
    assert terminal.json("assess", alert, "--dismiss", "--correct")["state"] == "dismissed"
    body = last(duty, alert)
    assert isinstance(body, Assessed)
    assert body.corrects is not None
    duty.site.expect_chain()


def test_what_assess_refuses(terminal: Terminal) -> None:
    duty = terminal.duty
    alert = duty.plant()
    before = count(duty)
    assert "expected either --dismiss or --engage, got neither" in terminal.refused("assess", alert)
    assert "person dee has not looked at this alert yet" in terminal.refused("assess", alert, "--dismiss")
    assert "alert_assessed" in terminal.refused("assess", alert, "--dismiss", by="eva")
    assert "there is no assessment to correct" in terminal.refused("assess", alert, "--dismiss", "--correct")
    assert "there is no alert 'ff'" in terminal.refused("assess", "ff", "--dismiss")
    assert count(duty) == before
    duty.assess(alert, Verdict.DISMISS)
    assert "a mistake is corrected with --correct" in terminal.refused("assess", alert, "--engage")


def test_on_what_nobody_saw_in_time_nobody_is_engaged(terminal: Terminal) -> None:
    duty = terminal.duty
    seen, late = duty.plant(), duty.plant()
    duty.look(seen)
    duty.site.clocks.pass_(minutes=1)
    duty.look(late)
    refused = terminal.refused("assess", late, "--engage")
    assert "came too late for anybody to act on it (it was good until 2030-06-01T12:00:29Z)" in refused
    assert terminal.ok("assess", late, "--dismiss") == f"alert {late}: dismissed\n"
    assert terminal.ok("assess", seen, "--engage") == f"alert {seen}: engage\n"


def test_the_first_of_two_is_told_nothing_and_the_second_what_holds(
    open_duty: OpenDuty, open_terminal: Callable[[Duty], Terminal]
) -> None:
    terminal = open_terminal(open_duty(assessors=2, on_disagreement="dismiss"))
    alert = terminal.duty.plant()
    for by in ("dee", "dan"):
        terminal.duty.look(alert, by)
    assert terminal.ok("assess", alert, "--engage") == f"alert {alert}: viewed\n"
    assert terminal.ok("assess", alert, "--dismiss", by="dan") == f"alert {alert}: dismissed\n"


# --- engage ---------------------------------------------------------------------------------------------------------


def test_an_engagement_is_recorded_as_it_was(terminal: Terminal) -> None:
    duty = terminal.duty
    alert = duty.plant()
    duty.assess(alert, Verdict.ENGAGE)
    assert terminal.ok("engage", alert, *TALK) == f"alert {alert}: engaged\n"
    assert last(duty, alert) == Engaged(
        power="pace-24", searched=False, force=Force.NONE, minutes=4, explained=True, complaint_route=True
    )
    found = terminal.json(
        "engage", alert, "--power", "none", "--force", "handcuffs", "--minutes", "7.5", "--searched",
        "--not-explained", "--no-complaint-route", "--text", "as it was", "--correct",
    )  # fmt: skip
    assert (found["id"], found["state"]) == (alert, "engaged")
    body = last(duty, alert)
    assert isinstance(body, Engaged)
    assert msgspec.structs.replace(body, corrects=None) == Engaged(
        power="none", searched=True, force=Force.HANDCUFFS, minutes=7.5, explained=False, complaint_route=False,
        text="as it was",
    )  # fmt: skip
    assert body.corrects is not None


@pytest.mark.parametrize(
    "left_out", ["--power", "--force", "--minutes", "--not-searched", "--explained", "--complaint-route"]
)
def test_nothing_of_an_engagement_is_taken_for_granted(terminal: Terminal, left_out: str) -> None:
    place = TALK.index(left_out)
    given = TALK[:place] + TALK[place + (1 if place >= TALK.index("--not-searched") else 2) :]
    assert f"Missing option '{left_out.replace('not-', '')}" in terminal.refused("engage", "00", *given)


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--power", "pace-2", "warrant; got 'pace-2' (did you mean 'pace-24'?)"),
        ("--force", "some", "'some' is not one of 'none', 'handcuffs', 'physical', 'equipment'"),
        ("--minutes", "-1", "is not in the range 0<=x<=2880"),
        ("--minutes", "nan", "expected a number of minutes, got nan"),
        ("--text", "x" * 4_001, "cannot be: Expected `str` of length <= 4000 - at `$.text`"),
        ("--text", "\udc80", "what is to be written of it cannot be: 'utf-8' codec can't encode"),
    ],
)
def test_what_cannot_be_of_an_engagement_is_refused(terminal: Terminal, option: str, value: str, problem: str) -> None:
    duty = terminal.duty
    alert = duty.plant()
    duty.assess(alert, Verdict.ENGAGE)
    before = count(duty)
    refused = terminal.refused("engage", alert, *TALK, option, value)
    assert problem in refused
    assert count(duty) == before


def test_nobody_is_engaged_on_what_was_not_decided(terminal: Terminal) -> None:
    alert = terminal.duty.plant()
    assert "expected a decision to engage before anybody is engaged" in terminal.refused("engage", alert, *TALK)
    terminal.duty.assess(alert, Verdict.DISMISS)
    assert "this alert is dismissed" in terminal.refused("engage", alert, *TALK)
    assert "there is no engagement to correct" in terminal.refused("engage", alert, *TALK, "--correct")


# --- outcome --------------------------------------------------------------------------------------------------------


def test_an_outcome_is_recorded_with_the_truth(terminal: Terminal, engaged: str) -> None:
    out = terminal.ok(
        "outcome", engaged, *RIGHT, "--outcome", "arrest", "--arrests", 1, "--grounds", "expired", "--case", "C/17",
    )  # fmt: skip
    assert out == f"alert {engaged}: outcome\n"
    assert last(terminal.duty, engaged) == Closed(
        outcome=Outcome.ARREST,
        truth=Truth.TRUE,
        proof=Proof.DOCUMENT,
        grounds=Grounds.EXPIRED,
        arrests=1,
        case="C/17",
    )


def test_of_a_false_alert_what_a_person_saw_is_recorded(terminal: Terminal, engaged: str) -> None:
    found = terminal.json(
        "outcome", engaged, *WRONG, "--outcome", "no-further-action", "--cause", "twin-or-kin",
        "--sex", "female,observed-in-person,PC 1234", "--age", " 25-34 , observed-from-image , dee, at the desk",
        "--ethnicity", "not-recorded", "--text", "her sister",
    )  # fmt: skip
    assert found["state"] == "outcome"
    assert last(terminal.duty, engaged) == Closed(
        outcome=Outcome.NO_FURTHER_ACTION,
        truth=Truth.FALSE,
        proof=Proof.KNOWN_PERSON,
        cause=Cause.TWIN_OR_KIN,
        sex=Described(value="female", known=Known.OBSERVED_IN_PERSON, by="PC 1234"),
        age=Described(value="25-34", known=Known.OBSERVED_FROM_IMAGE, by="dee, at the desk"),
        ethnicity=Described(value="not-recorded", known=Known.NOT_RECORDED, by=""),
        text="her sister",
    )
    assert terminal.duty.site.deployment().false == 1
    terminal.ok("outcome", engaged, *RIGHT, "--outcome", "other-lawful-outcome", "--correct")
    assert terminal.duty.site.deployment().false == 0


@pytest.mark.parametrize(
    "value", ["female", "female,seen,PC 1", "female,observed-in-person", "female,observed-in-person, ", ",,", ""]
)
def test_what_a_person_saw_has_three_parts(terminal: Terminal, engaged: str, value: str) -> None:
    refused = terminal.refused("outcome", engaged, *WRONG, "--outcome", "arrest", "--sex", value)
    assert (
        "Invalid value for '--sex': expected what, how it is known and by whom, such as female,observed-in-person,PC "
        "1234, or not-recorded; known is one of self-defined, observed-in-person, observed-from-image, not-recorded; "
        f"got {value!r}"
    ) in refused


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (("--sex", "femal,self-defined,PC 1"), "female, male, not-recorded; got 'femal' (did you mean 'female'?)"),
        (("--age", "25-35,self-defined,PC 1"), "65-and-over, not-recorded; got '25-35' (did you mean '25-34'?)"),
        (("--ethnicity", "whit,self-defined,PC 1"), "ethnicity: expected one of"),
        (("--ethnicity", "whit,self-defined,PC 1"), "got 'whit' (did you mean 'white'?)"),
        (("--sex", "female,not-recorded,PC 1"), "sex: expected how female is known and by whom, or nothing recorded"),
        (("--grounds", "valid"), "grounds valid: expected grounds only where the right person was recognised"),
        (("--arrests", "1"), "expected arrests with the outcome arrest, and only then; got no-further-action with 1"),
        (("--arrests", "101"), "101 is not in the range 0<=x<=100"),
        (("--proof", "not-known"), "expected how it is known that the alert was true or false (--proof)"),
        (("--truth", "not-established"), "expected how it is known that the alert was true or false (--proof)"),
        (("--truth", "perhaps"), "'perhaps' is not one of 'true', 'false', 'not-established'"),
        (("--case", "x" * 201), "cannot be: Expected `str` of length <= 200 - at `$.case`"),
        (("--correct",), "there is no outcome to correct: record it without --correct"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    terminal: Terminal, engaged: str, given: tuple[str, ...], problem: str
) -> None:
    before = count(terminal.duty)
    whole = ("outcome", engaged, *WRONG, "--outcome", "no-further-action", *NOTHING_KNOWN, *given)
    assert problem in terminal.refused(*whole)
    assert count(terminal.duty) == before


def test_every_mistake_of_an_outcome_is_named_at_once(terminal: Terminal, engaged: str) -> None:
    refused = terminal.refused("outcome", engaged, *WRONG, "--outcome", "arrest")
    for part in (
        "expected arrests with the outcome arrest",
        "expected sex of",
        "expected age of",
        "expected ethnicity",
    ):
        assert part in refused


def test_what_of_a_true_alert_is_nobodys_business(terminal: Terminal, engaged: str) -> None:
    refused = terminal.refused(
        "outcome", engaged, *RIGHT, "--outcome", "no-further-action", "--ethnicity", "white,self-defined,PC 1"
    )
    assert "expected cause, sex, age and ethnicity of a false alert only" in refused


def test_of_what_was_dismissed_only_the_truth_is_recorded(terminal: Terminal) -> None:
    alert = terminal.duty.plant()
    assert "expected a decision on it first" in terminal.refused("outcome", alert, *RIGHT)
    terminal.duty.assess(alert, Verdict.DISMISS)
    assert "and no --outcome" in terminal.refused("outcome", alert, *RIGHT, "--outcome", "not-found")
    assert terminal.ok("outcome", alert, *RIGHT) == f"alert {alert}: dismissed\n"
    assert "Missing option '--truth'" in terminal.refused("outcome", alert)


# --- export and resume ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("cheap_scrypt")
@pytest.mark.parametrize("make", [new_recipient, new_person])
def test_an_alert_is_handed_on_and_opened_by_its_recipient_alone(
    terminal: Terminal, tmp_path: Path, lfr: Callable[..., Result], make: Callable[..., Any]
) -> None:
    make("court", tmp_path / "court", "open it")
    secret = tmp_path / "secret"
    secret.write_text("open it\n", encoding="utf-8")
    secret.chmod(0o600)
    alert, out = terminal.duty.plant(), tmp_path / "case-17.json.sealed"
    said = terminal.ok("export", alert, "--to", tmp_path / "court.pub", "--out", out, *COURT, "--text", "as ordered")
    assert said == f"alert {alert} is sealed to court: {out}\n"
    key = ("--key", tmp_path / "court.key", "--passphrase-file", secret)
    opened = lfr("recipient", "open", out, *key)
    assert (opened.code, opened.err) == (0, "")
    envelope = msgspec.json.decode((tmp_path / "case-17.json").read_bytes(), type=Envelope)
    found = msgspec.json.decode(envelope.body, type=Exported)
    assert (found.kept.id, found.disclosed_to, found.reason) == (alert, "court", "court")
    second = tmp_path / "second.sealed"
    assert terminal.json("export", alert, "--to", tmp_path / "court.pub", "--out", second, *COURT) == {
        "alert": alert,
        "recipient": "court",
        "file": str(second),
    }
    assert [one["facts"]["recipient"] for one in terminal.duty.site.acts("alert_disclosed")] == ["court", "court"]


@pytest.mark.usefixtures("cheap_scrypt")
def test_what_export_refuses(terminal: Terminal, tmp_path: Path) -> None:
    new_recipient("court", tmp_path / "court", "open it")
    alert, out = terminal.duty.plant(), tmp_path / "case.sealed"
    to = ("--to", tmp_path / "court.pub", "--out", out)
    assert "Missing option '--reason'" in terminal.refused("export", alert, *to)
    assert "Missing option '--to'" in terminal.refused("export", alert, "--out", out, *COURT)
    assert "Missing option '--out'" in terminal.refused("export", alert, "--to", tmp_path / "court.pub", *COURT)
    refused = terminal.refused("export", alert, "--to", tmp_path / "court.key", "--out", out, *COURT)
    assert "expected a file that `recipient new` or `person new` made" in refused
    assert "alert_disclosed" in terminal.refused("export", alert, *to, *COURT, by="fay")
    assert not out.exists()
    assert terminal.duty.site.acts("alert_disclosed") == []


def test_suspended_alerts_are_let_out_by_whoever_may(
    open_duty: OpenDuty, open_terminal: Callable[[Duty], Terminal]
) -> None:
    terminal = open_terminal(open_duty(stop_min_false=1))
    duty = terminal.duty
    why = ("--reason", "evidence-reviewed", "--text", "the light was fixed")
    assert "are not suspended: there is nothing to resume" in terminal.refused("resume", 1, *why, by="eva")
    alert = duty.plant()
    duty.assess(alert, Verdict.DISMISS)
    duty.close(alert, DISMISSED_WRONG)
    assert duty.is_suspended
    assert "alerts_resumed" in terminal.refused("resume", 1, *why, by="dee")
    assert "Missing option '--reason'" in terminal.refused("resume", 1, by="eva")
    assert "there is no deployment 7: expected a number from 1 to 1" in terminal.refused("resume", 7, *why, by="eva")
    assert duty.is_suspended
    assert terminal.ok("resume", 1, *why, by="eva") == "alerts of deployment 1 are let out again\n"
    assert not duty.is_suspended
    (act,) = duty.site.acts("alerts_resumed")
    assert (act["by"], act["reason"]) == ("person eva", "evidence-reviewed")
    assert "light" not in json.dumps(act)
