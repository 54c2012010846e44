"""A clock that was set back keeps nothing alive, and one that somebody confirmed counts, for a kernel that runs too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.deployment.support import look, set_clock
from lfr_kernel.governance.alerts.states import State
from lfr_kernel.governance.alerts.store import listed
from lfr_kernel.governance.alerts.vocabulary import Verdict
from lfr_kernel.governance.deployment.clockwork import confirm_clock, known_time
from lfr_kernel.governance.deployment.register import end
from lfr_kernel.governance.deployment.wiping import settle
from lfr_kernel.governance.keys.signing import verify
from lfr_kernel.governance.record.making import signed_record
from lfr_kernel.governance.record.statements import RECORD, Record
from lfr_kernel.governance.retention import retain

if TYPE_CHECKING:
    from governance.alerts.support import Duty, OpenDuty

DAY_S, SECOND_NS = 86_400, 10**9


def close(duty: Duty) -> None:
    """End it as a clock does, whoever is on shift."""
    duty.governed.close()
    end(duty.site.vault, duty.serial, signer=None, why="clock")
    settle(duty.site.vault)


def test_alerts_go_when_their_time_has_passed_though_no_kernel_ran_and_the_clock_says_that_it_has_not(
    duty: Duty,
) -> None:
    look(duty.governed)
    alert = duty.plant()
    expires_s = duty.find(alert).expires_s
    close(duty)
    left_s = expires_s - duty.site.clocks.now.utc_ns // SECOND_NS
    set_clock(duty.site.clocks, wall_s=left_s - 1 - 20 * DAY_S, boot_s=left_s - 1)
    retain(duty.site.vault)
    assert [one.id for one in listed(duty.site.vault.database)] == [alert]
    set_clock(duty.site.clocks, wall_s=1, boot_s=1)
    retain(duty.site.vault)
    assert listed(duty.site.vault.database) == []


def test_texts_go_when_their_time_has_passed_though_the_clock_says_that_it_has_not(open_duty: OpenDuty) -> None:
    duty = open_duty(text_days=40)
    look(duty.governed)
    close(duty)
    set_clock(duty.site.clocks, wall_s=20 * DAY_S - 1, boot_s=40 * DAY_S - 1)
    retain(duty.site.vault)
    assert duty.site.vault.keyring.has(f"text-{duty.serial}")
    set_clock(duty.site.clocks, wall_s=1, boot_s=1)
    retain(duty.site.vault)
    assert not duty.site.vault.keyring.has(f"text-{duty.serial}")
    assert len(duty.site.acts("texts_purged")) == 1


def test_texts_do_not_go_before_the_alerts_whose_steps_they_are(open_duty: OpenDuty) -> None:
    duty = open_duty(text_days=31)
    look(duty.governed)
    alert = duty.plant()
    duty.look(alert)
    duty.assess(alert, Verdict.DISMISS)
    set_clock(duty.site.clocks, wall_s=-20 * DAY_S)
    close(duty)
    set_clock(duty.site.clocks, wall_s=12 * DAY_S, boot_s=12 * DAY_S)
    retain(duty.site.vault)
    assert duty.state(alert) is duty.case(alert).state is State.DISMISSED
    set_clock(duty.site.clocks, wall_s=20 * DAY_S, boot_s=20 * DAY_S)
    retain(duty.site.vault)
    assert listed(duty.site.vault.database) == []
    assert len(duty.site.acts("texts_purged")) == 1
    signed = signed_record(duty.site.vault, duty.serial)
    assert signed is not None
    assert verify(signed, RECORD, Record, [duty.site.vault.signer.public]).counted.states == {"dismissed": 1}


def test_a_kernel_that_runs_takes_up_the_time_that_somebody_confirmed_and_deletes_nothing_too_early(duty: Duty) -> None:
    site, clocks = duty.site, duty.site.clocks
    set_clock(clocks, wall_s=40 * 60, is_synchronised=True)
    look(duty.governed)  # something vouched for a clock that was wrong, and this kernel believed it
    set_clock(clocks, wall_s=-40 * 60, is_synchronised=True)
    confirm_clock(site.vault, site.signers["eva"])
    duty.lives_s = (1_800.0, 1_800.0)
    alert = duty.plant()
    set_clock(clocks, wall_s=6, boot_s=6, is_synchronised=True)
    look(duty.governed)
    found = known_time(site.vault.database)
    assert found is not None
    assert found.utc_ns == clocks.now.utc_ns
    assert [one.id for one in listed(site.vault.database)] == [alert]
