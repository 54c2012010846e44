"""What people do with an alert: in which order, by whom, and what of it stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from governance.alerts.support import DISMISSED_WRONG, GONE, RIGHT, WRONG
from lfr_kernel.governance.alerts.states import State
from lfr_kernel.governance.alerts.vocabulary import Outcome, Verdict
from lfr_kernel.governance.errors import RefusedError

if TYPE_CHECKING:
    from governance.alerts.support import Duty, OpenDuty


def test_from_the_proposal_to_the_outcome_every_step_is_a_persons(duty: Duty) -> None:
    alert = duty.plant()
    assert duty.state(alert) is State.OPEN
    duty.look(alert)
    assert duty.state(alert) is State.VIEWED
    duty.assess(alert, Verdict.ENGAGE)
    assert duty.state(alert) is State.ENGAGE
    duty.engage(alert)
    assert duty.state(alert) is State.ENGAGED
    duty.close(alert, RIGHT)
    assert duty.state(alert) is State.OUTCOME
    duty.site.expect_chain()


def test_so_many_false_alerts_suspend_alerts_until_somebody_lets_them_out_again(open_duty: OpenDuty) -> None:
    duty = open_duty(stop_min_false=2)
    alerts = [duty.plant() for _ in range(3)]
    for alert in alerts[:2]:
        duty.assess(alert, Verdict.DISMISS)
        duty.close(alert, DISMISSED_WRONG)
    assert duty.is_suspended
    assert not duty.keep(duty.alert())


def test_nobody_is_engaged_without_a_decision(duty: Duty) -> None:
    alert = duty.plant()
    with pytest.raises(RefusedError, match="expected a decision to engage"):
        duty.engage(alert)


def test_who_was_gone_and_is_found_after_all_is_engaged_like_anybody_else(duty: Duty) -> None:
    alert = duty.plant()
    duty.assess(alert, Verdict.ENGAGE)
    duty.close(alert, GONE)
    assert duty.state(alert) is State.OUTCOME
    duty.engage(alert)
    assert duty.state(alert) is State.ENGAGED
    assert duty.case(alert).closing is None
    with pytest.raises(RefusedError, match="expected what came of it"):
        duty.close(alert, GONE)
    duty.close(alert, RIGHT)
    assert duty.state(alert) is State.OUTCOME
    with pytest.raises(RefusedError, match="the engagement is recorded already"):
        duty.engage(alert)


def test_an_outcome_that_counts_no_more_is_no_false_alert_any_more(open_duty: OpenDuty) -> None:
    duty = open_duty(stop_min_false=5)
    alert = duty.plant()
    duty.assess(alert, Verdict.ENGAGE)
    duty.close(alert, structs.replace(WRONG, outcome=Outcome.NOT_FOUND))
    assert duty.site.deployment().false == 1
    duty.engage(alert)
    assert duty.site.deployment().false == 0
    duty.close(alert, WRONG)
    assert duty.site.deployment().false == 1
