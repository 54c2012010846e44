"""Nothing is undone: a mistake is corrected by a further step that names it, and both stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from governance.alerts.support import DISMISSED_WRONG, ENGAGED, RIGHT, WRONG
from lfr_kernel.governance.alerts.states import State
from lfr_kernel.governance.alerts.steps import resume
from lfr_kernel.governance.alerts.store import steps_of
from lfr_kernel.governance.alerts.vocabulary import Proof, Truth, Verdict
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.record.making import record_of

if TYPE_CHECKING:
    from governance.alerts.support import Duty, OpenDuty
    from lfr_kernel.governance.alerts.statements import Step

TRUE_AFTER_ALL = structs.replace(DISMISSED_WRONG, truth=Truth.TRUE, proof=Proof.DOCUMENT, sex=None, age=None)
TRUE_AFTER_ALL = structs.replace(TRUE_AFTER_ALL, ethnicity=None)


def taken(duty: Duty, alert: str) -> list[Step]:
    return steps_of(duty.site.vault, duty.find(alert))


def test_each_kind_of_step_is_kept_beside_what_corrects_it(duty: Duty) -> None:
    alert = duty.plant()
    duty.assess(alert, Verdict.DISMISS, text="not her")
    duty.assess(alert, Verdict.ENGAGE, text="it is her", is_correction=True)
    duty.engage(alert, structs.replace(ENGAGED, minutes=40))
    duty.engage(alert, structs.replace(ENGAGED, minutes=4), is_correction=True)
    duty.close(alert, WRONG)
    duty.close(alert, RIGHT, by="dan", is_correction=True)
    _, first, _, second, third, fourth, fifth, sixth = taken(duty, alert)
    for before, after in ((first, second), (third, fourth), (fifth, sixth)):
        assert before.body.corrects is None  # type: ignore[union-attr]
        assert after.body.corrects == before.entry  # type: ignore[union-attr]
    assert [first.body.text, second.body.text] == ["not her", "it is her"]  # type: ignore[union-attr]
    assert (fifth.body, structs.replace(sixth.body, corrects=None)) == (WRONG, RIGHT)  # type: ignore[type-var]
    assert sixth.by == "person dan"
    counted = record_of(duty.site.vault, duty.serial).counted
    assert (counted.corrections, counted.engagement_min, counted.truth) == (3, (4.0,), {"true": 1})
    duty.site.expect_chain()


def test_a_correction_corrects_the_last_one_and_not_what_that_corrected(duty: Duty) -> None:
    alert = duty.plant()
    for number, verdict in enumerate((Verdict.ENGAGE, Verdict.DISMISS, Verdict.ENGAGE)):
        duty.assess(alert, verdict, is_correction=number > 0)
    assessed = [one for one in taken(duty, alert) if hasattr(one.body, "verdict")]
    assert [one.body.corrects for one in assessed] == [None, assessed[0].entry, assessed[1].entry]  # type: ignore[union-attr]
    assert duty.state(alert) is State.ENGAGE
    assert duty.case(alert).corrections == 2


@pytest.mark.parametrize("what", ["assess", "engage", "close"])
def test_what_is_not_there_is_not_corrected_and_nothing_is_written(duty: Duty, what: str) -> None:
    alert = duty.plant()
    duty.look(alert)
    if what != "assess":
        duty.assess(alert, Verdict.ENGAGE)
    duty.look(alert)
    before = len(taken(duty, alert))
    with pytest.raises(RefusedError, match=r"there is no (assessment|engagement|outcome) to correct"):
        {
            "assess": lambda: duty.assess(alert, Verdict.DISMISS, is_correction=True),
            "engage": lambda: duty.engage(alert, is_correction=True),
            "close": lambda: duty.close(alert, is_correction=True),
        }[what]()
    assert [type(one.body).__name__ for one in taken(duty, alert)[before:]] == ["Looked"] * (what == "assess")


def test_a_false_alert_that_was_none_counts_no_more_against_the_deployment(open_duty: OpenDuty) -> None:
    duty = open_duty(stop_min_false=2)
    first, second, third = (duty.plant() for _ in range(3))
    for alert in (first, second, third):
        duty.assess(alert, Verdict.DISMISS)
    duty.close(first, DISMISSED_WRONG)
    assert duty.site.deployment().false == 1
    duty.close(first, TRUE_AFTER_ALL, is_correction=True)
    assert duty.site.deployment().false == 0
    duty.close(second, DISMISSED_WRONG)
    assert not duty.is_suspended
    duty.close(third, DISMISSED_WRONG)
    assert duty.is_suspended


def test_a_correction_that_leaves_it_false_is_no_further_false_alert(open_duty: OpenDuty) -> None:
    duty = open_duty(stop_min_false=2)
    alert = duty.plant()
    duty.assess(alert, Verdict.DISMISS)
    duty.close(alert, DISMISSED_WRONG)
    duty.close(alert, structs.replace(DISMISSED_WRONG, text="by another document"), is_correction=True)
    assert duty.site.deployment().false == 1
    assert not duty.is_suspended


def test_a_false_alert_less_does_not_suspend_again_what_somebody_let_out(open_duty: OpenDuty) -> None:
    duty = open_duty(stop_min_false=2)
    alerts = [duty.plant() for _ in range(4)]
    for alert in alerts:
        duty.assess(alert, Verdict.DISMISS)
    for alert in alerts[:3]:
        duty.close(alert, DISMISSED_WRONG)
    resume(duty.site.vault, duty.site.signers["eva"], duty.serial, reason="checked", text=None)
    duty.close(alerts[0], TRUE_AFTER_ALL, is_correction=True)
    assert (duty.site.deployment().false, duty.is_suspended) == (2, False)
    duty.close(alerts[3], DISMISSED_WRONG)
    assert duty.is_suspended
    assert [one["facts"]["false"] for one in duty.site.acts("alerts_suspended")] == [2, 3]


def test_a_dismissal_that_was_closed_and_is_corrected_has_an_outcome_like_any_other(duty: Duty) -> None:
    alert = duty.plant()
    duty.assess(alert, Verdict.DISMISS)
    duty.close(alert, TRUE_AFTER_ALL)
    duty.assess(alert, Verdict.ENGAGE, is_correction=True)
    assert duty.state(alert) is State.ENGAGE
    duty.engage(alert)
    duty.close(alert, RIGHT)
    assert (duty.state(alert), duty.case(alert).corrections) == (State.OUTCOME, 1)
    with pytest.raises(RefusedError, match="the outcome is recorded already"):
        duty.close(alert, WRONG)
