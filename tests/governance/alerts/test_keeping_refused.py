"""When no alert is kept: a deployment that is over, alerts that are suspended whatever the register says; and where."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from governance.alerts.support import DISMISSED_WRONG
from governance.deployment.support import NOTHING_SEEN
from lfr_kernel.governance.alerts.states import State
from lfr_kernel.governance.alerts.steps import assess, look
from lfr_kernel.governance.alerts.store import listed
from lfr_kernel.governance.alerts.vocabulary import Reason, Verdict
from lfr_kernel.governance.deployment.register import save
from lfr_kernel.governance.errors import BusyError, RefusedError
from lfr_kernel.governance.retention import retain

if TYPE_CHECKING:
    from governance.alerts.support import Duty, OpenDuty


def test_nothing_is_raised_once_a_deployment_is_over_and_the_receipt_has_all_that_was(duty: Duty) -> None:
    duty.plant()
    duty.governed.begin_end("clock", NOTHING_SEEN)
    assert not duty.keep(duty.alert())
    duty.governed.finish()
    assert not duty.keep(duty.alert())
    assert len(duty.site.acts("alert_raised")) == 1
    assert duty.site.receipt().alerts == 1


def test_alerts_stay_suspended_though_somebody_has_changed_the_register(open_duty: OpenDuty) -> None:
    duty = open_duty(stop_min_false=1)
    alert = duty.plant()
    duty.assess(alert, Verdict.DISMISS)
    duty.close(alert, DISMISSED_WRONG)
    with duty.site.vault.database.transaction() as transaction:
        save(transaction, structs.replace(duty.site.deployment(), false=0))
    assert not duty.keep(duty.alert())
    assert duty.governed.look(NOTHING_SEEN).is_suspended


def test_where_a_key_was_lost_an_alert_is_kept_beside_what_lies_there_and_never_under_another_key(duty: Duty) -> None:
    lost = duty.find(duty.plant())
    duty.site.vault.keyring.destroy(lost.bucket.keyname)
    kept = duty.find(duty.plant())
    assert kept.bucket.keyname != lost.bucket.keyname
    assert 0 < lost.expires_s - kept.expires_s < 60
    assert not duty.site.vault.keyring.has(lost.bucket.keyname)
    duty.look(kept.id)


def test_nobody_gets_rid_of_a_count_by_holding_up_the_database(duty: Duty, monkeypatch: pytest.MonkeyPatch) -> None:
    alert = duty.plant()
    duty.assess(alert, Verdict.DISMISS)
    duty.close(alert, DISMISSED_WRONG)
    bucket = duty.find(alert).bucket
    duty.site.clocks.pass_(days=40)
    monkeypatch.setattr("lfr_kernel.governance.audit.opening.BUSY_S", 0.0)
    with duty.site.force.open(duty.site.vault.folder) as patientless:
        other = sqlite3.connect(duty.site.vault.database.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BusyError):
            retain(patientless)
        assert duty.site.vault.keyring.has(bucket.keyname)
        other.execute("ROLLBACK")
        other.close()
        retain(patientless)
    assert listed(duty.site.vault.database) == []
    (expired,) = duty.site.acts("alerts_expired")
    assert expired["facts"]["counted"]["truth"] == {"false": 1}
    assert expired["facts"]["counted"]["unread"] == 0


def test_nobody_decides_to_engage_who_was_not_shown_both_pictures(duty: Duty) -> None:
    vault, dee = duty.site.vault, duty.site.signers["dee"]
    alert = duty.plant()
    look(vault, alert, dee, reason=Reason.ASSESS, with_pictures=False)
    with pytest.raises(RefusedError, match="was not shown both pictures of this alert"):
        assess(vault, alert, dee, Verdict.ENGAGE)
    look(vault, alert, dee, reason=Reason.ASSESS)
    assess(vault, alert, dee, Verdict.ENGAGE)
    assert duty.state(alert) is State.ENGAGE


def test_once_the_pictures_are_gone_an_alert_can_only_be_dismissed(duty: Duty) -> None:
    alert = duty.plant(act_by_ns=2 * duty.site.clocks.now.utc_ns)
    duty.site.clocks.pass_(hours=25)
    retain(duty.site.vault)
    with pytest.raises(RefusedError, match="was not shown both pictures of this alert"):
        duty.assess(alert, Verdict.ENGAGE)
    duty.assess(alert, Verdict.DISMISS)
    assert duty.state(alert) is State.DISMISSED
