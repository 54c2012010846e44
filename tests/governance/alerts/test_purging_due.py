"""When it is too old: at start, before anything else, by whoever opens the vault, and by no clock that jumped."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from governance.deployment.support import LIVE, NOTHING_SEEN, look, pack_with, set_clock
from governance.lists.support import a_row
from lfr_kernel.governance.alerts.purging import purge
from lfr_kernel.governance.alerts.store import listed
from lfr_kernel.governance.audit.anchors import anchor
from lfr_kernel.governance.deployment.clockwork import confirm_clock, is_held, note_time
from lfr_kernel.governance.deployment.register import end
from lfr_kernel.governance.deployment.settling import settle_unless_running
from lfr_kernel.governance.permit import PermitRefusedError
from lfr_kernel.governance.retention import retain, status
from lfr_kernel.governance.standing import Standing

if TYPE_CHECKING:
    from collections.abc import Callable

    from calling import Result
    from governance.alerts.support import Duty

DAY_S = 86_400
MINUTES_OF_40_DAYS = 40 * 24 * 60


def there(duty: Duty) -> list[str]:
    return [one.id for one in listed(duty.site.vault.database)]


def closed(duty: Duty) -> None:
    """End the deployment as people do."""
    end(duty.site.vault, duty.serial, signer=duty.site.signers["dee"], why="closed")
    duty.governed.stopped("stopped", NOTHING_SEEN)
    duty.site.crash(duty.governed)


def stamp(duty: Duty) -> None:
    """Have an entry written, with the time as the clocks have it now."""
    vault = duty.site.vault
    with vault.database.transaction() as transaction:
        anchor(transaction, vault.keyring, vault.installation.installation)


def test_a_start_purges_before_anything_else_though_nothing_is_authorised(duty: Duty) -> None:
    duty.plant()
    closed(duty)
    before = len(duty.site.acts())
    duty.site.clocks.pass_(days=31)
    governed = duty.site.governed()
    with pytest.raises(PermitRefusedError):
        governed.issue("authority", LIVE)
    assert there(duty) == []
    acts = [one["act"] for one in duty.site.acts()[before:]]
    assert acts == ["alerts_expired", "pictures_purged", "alerts_purged"]


def test_a_start_purges_before_it_wipes_and_before_it_permits(duty: Duty) -> None:
    duty.lives_s = (600, 600)
    duty.plant()
    duty.site.crash(duty.governed)
    duty.site.clocks.pass_(minutes=61)
    with pytest.raises(PermitRefusedError):
        duty.site.governed().issue("authority", LIVE)
    acts = [one["act"] for one in duty.site.acts()]
    assert acts.index("alerts_purged") < acts.index("deployment_ended") < acts.index("wiped")


def test_whoever_waits_for_a_kernel_that_runs_purges_nothing(duty: Duty) -> None:
    duty.lives_s = (600, 600)
    alert = duty.plant()
    duty.site.clocks.pass_(minutes=20)
    assert settle_unless_running(duty.site.vault) == []
    assert there(duty) == [alert]
    duty.site.crash(duty.governed)
    settle_unless_running(duty.site.vault)
    assert there(duty) == []


def test_a_kernel_that_runs_purges_its_own_alerts_when_it_looks(duty: Duty) -> None:
    duty.lives_s = (600, 600)
    alert = duty.plant()
    look(duty.governed)
    duty.site.clocks.pass_(minutes=9)
    look(duty.governed)
    assert there(duty) == [alert]
    duty.site.clocks.pass_(minutes=1)
    look(duty.governed)
    assert there(duty) == []
    later = duty.plant()
    look(duty.governed)
    assert there(duty) == [later]
    duty.site.expect_chain()


def test_a_kernel_that_runs_purges_what_another_deployment_left(duty: Duty) -> None:
    site = duty.site
    site.rows = [a_row("ada", expires=site.now + dt.timedelta(days=90))]
    alert = duty.plant()
    closed(duty)
    site.clocks.pass_(days=30, hours=11, minutes=30)
    plan = site.plan(loaded=pack_with(list_max_age_h=1_000), list=site.folder / "summer.lfrlist")
    site.authorise(plan, id="EX/2")
    governed = site.running(plan)
    assert there(duty) == [alert]
    site.clocks.pass_(minutes=30)
    assert look(governed).deployment == 2
    assert there(duty) == []
    assert [one["facts"]["deployment"] for one in site.acts("alerts_purged")] == [1]


@pytest.mark.parametrize("command", [["alerts", "list"], ["record", "1"], ["authority", "list"], ["session", "show"]])
def test_every_command_that_opens_the_vault_purges_first(
    duty: Duty, lfr: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr("lfr_kernel.cli.asking.read_clocks", duty.site.clocks)
    duty.plant()
    closed(duty)
    duty.site.clocks.pass_(days=31)
    lfr(*command, "--vault", duty.site.vault.folder)
    assert there(duty) == []
    assert len(duty.site.acts("alerts_purged")) == 1


def test_what_expired_while_the_machine_was_off_goes_at_the_next_start(duty: Duty) -> None:
    duty.plant()
    duty.site.crash(duty.governed)
    duty.site.clocks.reboot()
    duty.site.clocks.set_wall(minutes=MINUTES_OF_40_DAYS)
    with pytest.raises(PermitRefusedError):
        duty.site.governed().issue("authority", LIVE)
    assert there(duty) == []
    assert not is_held(duty.site.vault.database)
    (act,) = duty.site.acts("alerts_purged")
    assert act["at"] > act["facts"]["expired"]
    duty.site.expect_chain()


def test_a_clock_set_forward_that_nobody_vouches_for_deletes_nothing_until_somebody_confirms_it(duty: Duty) -> None:
    site, vault = duty.site, duty.site.vault
    alert = duty.plant()
    closed(duty)
    keys = vault.keyring.names()
    set_clock(site.clocks, wall_s=40 * DAY_S, boot_s=60)
    for _ in range(3):
        assert retain(vault) == []
    assert len(site.acts("clock_jumped")) == 1
    assert there(duty) == [alert]
    assert vault.keyring.names() == keys
    assert is_held(vault.database)
    assert status(vault).is_held
    duty.look(alert)
    confirm_clock(vault, site.signers["eva"])
    assert [(one.kind, one.count) for one in retain(vault)] == [("evidence", 1), ("alert", 1)]
    assert there(duty) == []
    assert not status(vault).is_held
    site.expect_chain()


def test_a_clock_set_forward_is_found_out_by_a_kernel_that_runs_too(duty: Duty) -> None:
    duty.lives_s = (600, 600)
    alert = duty.plant()
    look(duty.governed)
    set_clock(duty.site.clocks, wall_s=20 * 60, boot_s=10)
    assert look(duty.governed).standing is Standing.CLOCK_JUMPED
    assert there(duty) == [alert]
    assert duty.site.acts("alerts_expired") == []


def test_a_clock_set_forward_by_what_keeps_it_in_step_is_right(duty: Duty) -> None:
    duty.plant()
    closed(duty)
    set_clock(duty.site.clocks, wall_s=40 * DAY_S, boot_s=60, is_synchronised=True)
    assert len(retain(duty.site.vault)) == 2
    assert duty.site.acts("clock_jumped") == []


def test_an_entry_that_is_stamped_by_a_clock_that_jumped_lets_nothing_go(duty: Duty) -> None:
    alert = duty.plant()
    closed(duty)
    set_clock(duty.site.clocks, wall_s=40 * DAY_S, boot_s=60)
    stamp(duty)
    assert retain(duty.site.vault) == []
    assert there(duty) == [alert]


def test_what_was_begun_is_finished_though_the_clock_holds_purges(duty: Duty, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = duty.site.vault
    duty.lives_s = (10 * DAY_S, DAY_S)
    duty.plant()
    duty.lives_s = (31 * DAY_S, DAY_S)
    later = duty.plant()
    duty.site.clocks.pass_(days=2)
    purge(vault)
    duty.site.clocks.pass_(days=9)
    with monkeypatch.context() as patch:
        patch.setattr(vault.keyring, "destroy", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            purge(vault)
    set_clock(duty.site.clocks, wall_s=40 * DAY_S, boot_s=60)
    assert [(one.kind, one.count) for one in purge(vault)] == [("alert", 1)]
    assert is_held(vault.database)
    assert there(duty) == [later]


def test_a_clock_set_back_keeps_nothing_alive(duty: Duty) -> None:
    vault, clocks = duty.site.vault, duty.site.clocks
    duty.plant()
    closed(duty)
    clocks.reboot()
    clocks.pass_(minutes=1)
    stamp(duty)
    set_clock(clocks, wall_s=-90 * DAY_S, boot_s=5)
    stamp(duty)
    # What is left is that in this start of the machine somebody once saw a later time.
    set_clock(clocks, wall_s=30 * DAY_S, boot_s=30 * DAY_S)
    assert [one.kind for one in retain(vault)] == ["evidence"]
    set_clock(clocks, wall_s=DAY_S, boot_s=DAY_S)
    assert [one.kind for one in retain(vault)] == ["alert"]
    assert there(duty) == []
    assert duty.site.acts("clock_jumped") == []


def test_a_kernel_keeps_nothing_alive_by_a_clock_that_was_set_back(duty: Duty) -> None:
    duty.lives_s = (600, 600)
    duty.plant()
    look(duty.governed)
    set_clock(duty.site.clocks, wall_s=-5 * 60, boot_s=11 * 60)
    look(duty.governed)
    assert there(duty) == []


def test_what_was_known_of_the_time_before_a_start_counts_after_it(duty: Duty) -> None:
    vault, clocks = duty.site.vault, duty.site.clocks
    duty.plant()
    closed(duty)
    clocks.pass_(days=32)
    with vault.database.transaction() as transaction:
        note_time(transaction, None, clocks.now, tolerance_s=0)
    clocks.reboot()
    clocks.set_wall(minutes=-MINUTES_OF_40_DAYS)
    assert len(retain(vault)) == 2
    assert there(duty) == []
