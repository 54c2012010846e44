"""Where two people assess: neither sees whether or how the other does, both are revealed, and a rule settles a tie."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from governance.alerts.support import GONE
from lfr_kernel.governance.alerts.exporting import export
from lfr_kernel.governance.alerts.statements import Assessed
from lfr_kernel.governance.alerts.states import State
from lfr_kernel.governance.alerts.steps import assess, look
from lfr_kernel.governance.alerts.store import listed, steps_of
from lfr_kernel.governance.alerts.vocabulary import Reason, Verdict
from lfr_kernel.governance.audit.export import export as export_chain
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.people.recipients import Recipient
from lfr_kernel.governance.record.making import record_of

if TYPE_CHECKING:
    from governance.alerts.support import Duty, OpenDuty
    from lfr_kernel.governance.alerts.steps import Opened

DISMISS, ENGAGE = Verdict.DISMISS, Verdict.ENGAGE


@pytest.fixture
def duty(open_duty: OpenDuty) -> Duty:
    """Return a deployment in which two people assess, and a third where they disagree."""
    return open_duty(assessors=2, on_disagreement="third-person")


def seen_by(duty: Duty, alert: str, name: str) -> Opened:
    return look(duty.site.vault, alert, duty.site.signers[name], reason=Reason.ASSESS)


def correct(duty: Duty, alert: str, verdict: Verdict, by: str) -> None:
    assess(duty.site.vault, alert, duty.site.signers[by], verdict, is_correction=True)


def verdicts_in(opened: Opened) -> list[tuple[str, Verdict]]:
    return [(one.by, one.body.verdict) for one in opened.steps if isinstance(one.body, Assessed)]


def test_two_who_agree_have_decided(duty: Duty) -> None:
    alert = duty.plant()
    duty.assess(alert, ENGAGE, "dee")
    assert duty.state(alert) is State.VIEWED
    with pytest.raises(RefusedError, match="not decided on yet: expected a decision to engage"):
        duty.engage(alert)
    duty.assess(alert, ENGAGE, "dan")
    assert duty.state(alert) is State.ENGAGE
    duty.engage(alert, by="dot")
    assert duty.state(alert) is State.ENGAGED
    duty.site.expect_chain()


def test_the_second_sees_what_they_would_if_the_first_had_not_assessed(duty: Duty) -> None:
    alert, other = duty.plant(), duty.plant()
    duty.look(alert, "dee")
    duty.look(other, "dee")
    assess(duty.site.vault, alert, duty.site.signers["dee"], ENGAGE)
    correct(duty, alert, DISMISS, "dee")
    assessed, untouched = seen_by(duty, alert, "dan"), seen_by(duty, other, "dan")
    assert assessed.case == untouched.case
    assert [(one.by, one.body) for one in assessed.steps] == [(one.by, one.body) for one in untouched.steps]
    assert assessed.kept.state is untouched.kept.state is State.VIEWED
    assert {one.state for one in listed(duty.site.vault.database)} == {State.VIEWED}


def test_whoever_assessed_sees_what_they_said_and_what_they_said_before(duty: Duty) -> None:
    alert = duty.plant()
    duty.assess(alert, ENGAGE, "dee")
    duty.assess(alert, DISMISS, "dot")
    duty.assess(alert, DISMISS, "dan")
    other = duty.plant()
    duty.assess(other, ENGAGE, "dee")
    correct(duty, other, DISMISS, "dee")
    opened = seen_by(duty, other, "dee")
    assert verdicts_in(opened) == [("person dee", ENGAGE), ("person dee", DISMISS)]
    assert opened.case.corrections == 1
    assert verdicts_in(seen_by(duty, alert, "fay")) == [
        ("person dee", ENGAGE),
        ("person dot", DISMISS),
        ("person dan", DISMISS),
    ]


def test_an_auditor_sees_no_more_of_it_than_the_second_person(duty: Duty) -> None:
    alert = duty.plant()
    duty.assess(alert, ENGAGE, "dee")
    opened = seen_by(duty, alert, "fay")
    assert (verdicts_in(opened), opened.case.assessments) == ([], ())


def test_what_is_committed_names_no_alert_until_both_are_revealed(duty: Duty) -> None:
    alert = duty.plant()
    duty.assess(alert, ENGAGE, "dee", text="looks like her")
    ((one,), file) = (duty.site.acts("assessment_committed"), duty.site.folder / "log.jsonl")
    assert one["facts"] == {"deployment": 1}
    assert one["by"] == "person dee"
    assert duty.site.acts("alert_assessed", "assessments_revealed") == []
    duty.assess(alert, ENGAGE, "dan")
    first, second = duty.site.acts("assessment_committed")
    (revealed,) = duty.site.acts("assessments_revealed")
    assert revealed["facts"] == {"deployment": 1, "alert": alert, "state": "engage", "of": [first["n"], second["n"]]}
    export_chain(duty.site.vault.database, file)
    assert "looks like her" not in file.read_text(encoding="utf-8")


def test_nobody_can_tell_a_verdict_from_its_digest_by_trying_both(duty: Duty) -> None:
    for _ in range(2):
        duty.assess(duty.plant(), DISMISS, "dee")
    first, second = duty.site.acts("assessment_committed")
    assert first["text"] != second["text"]
    kept = listed(duty.site.vault.database)
    bodies = [one.body for alert in kept for one in steps_of(duty.site.vault, alert) if isinstance(one.body, Assessed)]
    assert len({one.salt for one in bodies}) == 2
    assert {len(one.salt) for one in bodies} == {32}


@pytest.mark.parametrize("is_assessed", [False, True])
def test_a_disclosure_is_refused_in_the_same_words_whether_or_not_somebody_has_assessed(
    duty: Duty,
    is_assessed: bool,  # noqa: FBT001  (pytest hands it in by name)
) -> None:
    alert = duty.plant()
    duty.look(alert, "dee")
    if is_assessed:
        assess(duty.site.vault, alert, duty.site.signers["dee"], ENGAGE)
    to = Recipient(name="court", sealing=duty.site.vault.installation.sealing)
    path = duty.site.folder / "c.sealed"
    with pytest.raises(RefusedError, match=f"alert {alert} is being assessed by 2 people, neither of whom may see whe"):
        export(duty.site.vault, alert, duty.site.signers["dan"], to, path, reason=Reason.COURT, text=None)
    assert not path.exists()
    assert duty.site.acts("alert_disclosed") == []


def test_a_record_does_not_tell_that_one_of_two_has_corrected_themselves(duty: Duty) -> None:
    alert = duty.plant()
    duty.look(alert, "dee")
    before = record_of(duty.site.vault, duty.serial).counted
    duty.assess(alert, ENGAGE, "dee")
    correct(duty, alert, DISMISS, "dee")
    assert record_of(duty.site.vault, duty.serial).counted == before
    duty.assess(alert, DISMISS, "dan")
    after = record_of(duty.site.vault, duty.serial).counted
    assert (after.corrections, after.disagreements, after.states) == (1, 0, {"dismissed": 1})


@pytest.mark.parametrize("order", [(DISMISS, ENGAGE), (ENGAGE, DISMISS)])
def test_two_who_disagree_dismiss_where_the_pack_says_so(open_duty: OpenDuty, order: tuple[Verdict, Verdict]) -> None:
    duty = open_duty(assessors=2, on_disagreement="dismiss")
    alert = duty.plant()
    duty.assess(alert, order[0], "dee")
    duty.assess(alert, order[1], "dan")
    assert duty.state(alert) is State.DISMISSED
    assert record_of(duty.site.vault, duty.serial).counted.disagreements == 1
    with pytest.raises(RefusedError, match="assessed already"):
        duty.assess(alert, ENGAGE, "dot")


@pytest.mark.parametrize("order", [(DISMISS, ENGAGE), (ENGAGE, DISMISS)])
@pytest.mark.parametrize(("third", "becomes"), [(DISMISS, State.DISMISSED), (ENGAGE, State.ENGAGE)])
def test_two_who_disagree_wait_for_a_third_person_where_the_pack_says_so(
    duty: Duty, order: tuple[Verdict, Verdict], third: Verdict, becomes: State
) -> None:
    alert = duty.plant()
    duty.assess(alert, order[0], "dee")
    duty.assess(alert, order[1], "dan")
    assert duty.state(alert) is State.ASSESSED
    for again in ("dee", "dan"):
        with pytest.raises(RefusedError, match=f"person {again} has assessed this alert already"):
            duty.assess(alert, third, again)
    with pytest.raises(RefusedError, match="waiting for a third person, since two disagree"):
        duty.engage(alert)
    with pytest.raises(RefusedError, match="waiting for a third person, since two disagree"):
        duty.close(alert, GONE)
    assert len(verdicts_in(seen_by(duty, alert, "dot"))) == 2
    duty.assess(alert, third, "dot")
    assert duty.state(alert) is becomes
    (by_name,) = duty.site.acts("alert_assessed")
    assert (by_name["by"], by_name["facts"]["alert"]) == ("person dot", alert)


def test_the_same_person_is_not_two(duty: Duty) -> None:
    alert = duty.plant()
    duty.assess(alert, ENGAGE, "dee")
    with pytest.raises(RefusedError, match="person dee has assessed this alert already"):
        duty.assess(alert, ENGAGE, "dee")
    assert duty.state(alert) is State.VIEWED


def test_somebody_who_has_not_looked_assesses_nothing_and_nothing_is_written(duty: Duty) -> None:
    alert = duty.plant()
    duty.assess(alert, ENGAGE, "dee")
    before = duty.site.vault.database.head()
    with pytest.raises(RefusedError, match="person dan has not looked at this alert yet"):
        assess(duty.site.vault, alert, duty.site.signers["dan"], ENGAGE)
    assert duty.site.vault.database.head() == before


@pytest.mark.parametrize("name", ["ada", "ben", "cem", "eva", "fay"])
def test_nobody_but_an_operator_is_the_second_person(duty: Duty, name: str) -> None:
    alert = duty.plant()
    duty.assess(alert, ENGAGE, "dee")
    with pytest.raises(RefusedError):
        duty.assess(alert, ENGAGE, name)
    assert duty.state(alert) is State.VIEWED


def test_before_the_reveal_a_correction_is_as_secret_as_what_it_corrects(duty: Duty) -> None:
    alert = duty.plant()
    duty.assess(alert, DISMISS, "dee")
    correct(duty, alert, ENGAGE, "dee")
    first, second = duty.site.acts("assessment_committed")
    assert first["facts"] == second["facts"] == {"deployment": 1}
    assert alert not in json.dumps([first, second])
    with pytest.raises(RefusedError, match="there is no assessment to correct"):
        correct(duty, alert, DISMISS, "dan")
    duty.assess(alert, ENGAGE, "dan")
    assert duty.state(alert) is State.ENGAGE
    third = duty.site.acts("assessment_committed")[2]
    (revealed,) = duty.site.acts("assessments_revealed")
    assert revealed["facts"]["of"] == [second["n"], third["n"]]


def test_after_the_reveal_a_correction_is_open_and_leads_to_no_engagement(duty: Duty) -> None:
    alert = duty.plant()
    duty.assess(alert, ENGAGE, "dee")
    duty.assess(alert, DISMISS, "dan")
    with pytest.raises(RefusedError, match="each knows by now what the other said: expected --dismiss"):
        correct(duty, alert, ENGAGE, "dan")
    assert duty.state(alert) is State.ASSESSED
    correct(duty, alert, DISMISS, "dee")
    assert duty.state(alert) is State.DISMISSED
    (corrected,) = duty.site.acts("alert_assessed")
    assert corrected["facts"] == {"deployment": 1, "alert": alert, "state": "dismissed"}
    with pytest.raises(RefusedError, match="there is no assessment to correct"):
        correct(duty, alert, DISMISS, "dot")
    assert verdicts_in(seen_by(duty, alert, "fay")) == [
        ("person dee", ENGAGE),
        ("person dan", DISMISS),
        ("person dee", DISMISS),
    ]
    assert duty.case(alert).has_disagreed
