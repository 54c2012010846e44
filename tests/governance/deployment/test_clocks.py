"""A run and its clocks: whatever becomes of either, an authority lasts no longer, and nothing is deleted too early."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from governance.deployment.support import HOUR, LIVE, NOTHING_SEEN, look, pack_with, set_clock
from governance.lists.support import a_row
from lfr_kernel.governance.deployment.clockwork import confirm_clock, is_held, known_time
from lfr_kernel.governance.deployment.register import end, extended, recall, withdrawn
from lfr_kernel.governance.deployment.wiping import settle
from lfr_kernel.governance.errors import AuditError
from lfr_kernel.governance.permit import PermitRefusedError
from lfr_kernel.governance.standing import Ending, Stage, Standing
from lfr_kernel.messages import Expire, Receipt
from lfr_kernel.stages.retention import RetentionHost
from lfr_kernel.testing import VirtualClock, run_actor
from lfr_kernel.testing.fakes import FakeRetention

if TYPE_CHECKING:
    from typing import Any

    from governance.deployment.support import Site
    from lfr_kernel.governance.deployment.governed import Governed

MINUTE = 60


def test_it_is_in_force_until_its_end_and_not_a_moment_longer(site: Site) -> None:
    governed = site.running()
    set_clock(site.clocks, wall_s=3599.75, boot_s=3599.75)
    found = look(governed)
    assert (found.standing, found.is_ending, found.remaining_s) == (Standing.IN_FORCE, False, 0.25)
    set_clock(site.clocks, wall_s=0.25, boot_s=0.25)
    assert look(governed).standing is Standing.ENDED


def test_a_clock_that_was_set_back_prolongs_nothing(site: Site) -> None:
    governed = site.running(starts=site.now - HOUR)
    for minute in range(60):
        assert look(governed).standing is Standing.IN_FORCE, minute
        set_clock(site.clocks, wall_s=-0.5 * MINUTE, boot_s=MINUTE)
    assert look(governed).standing is Standing.ENDED


def test_the_time_that_a_clock_was_set_back_by_is_written_down(site: Site) -> None:
    governed = site.running()
    site.clocks.pass_(minutes=30)
    look(governed)
    set_clock(site.clocks, wall_s=-20 * MINUTE, boot_s=6)
    look(governed)
    found = known_time(site.vault.database)
    assert found is not None
    assert (found.utc_ns - site.clocks.now.utc_ns) / 1e9 == 20 * MINUTE + 6
    assert found.boot_ns == site.clocks.now.boot_ns


def test_a_clock_set_back_before_the_start_captures_nothing(site: Site) -> None:
    governed = site.running()
    set_clock(site.clocks, wall_s=-5, boot_s=1)
    assert look(governed).standing is Standing.NOT_YET


def test_a_suspend_counts(site: Site) -> None:
    governed = site.running()
    set_clock(site.clocks, wall_s=3601, boot_s=3601, is_synchronised=True)
    assert look(governed).standing is Standing.ENDED


def test_a_suspend_counts_by_the_boot_clock_alone(site: Site) -> None:
    governed = site.running()
    set_clock(site.clocks, wall_s=10, boot_s=3601)
    assert look(governed).standing is Standing.ENDED


def test_an_unsynchronised_jump_forward_stops_and_holds_what_deletes(site: Site) -> None:
    site.rows = [a_row("ada", 1), a_row("bob", 2, expires=site.now + HOUR / 2)]
    governed = site.running()
    look(governed)
    set_clock(site.clocks, wall_s=40 * MINUTE, boot_s=1)
    found = look(governed)
    assert (found.standing, found.is_ending, found.withdrawn) == (Standing.CLOCK_JUMPED, False, ())
    assert governed.holds_purges
    assert is_held(site.vault.database)
    # It stays so at every look, and is said once.
    assert look(governed).standing is Standing.CLOCK_JUMPED
    assert len(site.acts("clock_jumped")) == 1
    # Nothing is wiped, and no entry expires, by a clock that nobody vouches for.
    governed.stopped("stopped", NOTHING_SEEN)
    governed.close()
    assert settle(site.vault) == []
    assert withdrawn(site.vault.database, site.deployment().list) == []
    with pytest.raises(PermitRefusedError, match="capture and purges wait until somebody confirms it"):
        site.governed().issue("authority", LIVE)
    site.opened.pop().close()
    confirm_clock(site.vault, site.signers["eva"])
    again = site.running()
    assert again.listed is not None
    assert again.listed.persons == ("ada",)
    assert not again.holds_purges
    site.expect_chain()


def test_a_jump_beyond_the_end_ends_it(site: Site) -> None:
    governed = site.running()
    look(governed)
    set_clock(site.clocks, wall_s=61 * MINUTE, boot_s=1)
    assert look(governed).standing is Standing.ENDED


def test_a_synchronised_jump_forward_is_believed(site: Site) -> None:
    governed = site.running()
    look(governed)
    set_clock(site.clocks, wall_s=40 * MINUTE, boot_s=1, is_synchronised=True)
    assert look(governed).standing is Standing.IN_FORCE
    assert not governed.holds_purges
    assert site.acts("clock_jumped") == []


class Store:
    """Keeps records, and counts how often it was told to expire them."""

    name = "store"
    asked = 0

    async def ask(self, request: Any, *, deadline_s: float) -> Receipt:
        assert isinstance(request, Expire)
        assert deadline_s
        self.asked += 1
        return Receipt(destroyed=0)


@pytest.mark.anyio
async def test_retention_deletes_nothing_while_purges_are_held(site: Site) -> None:
    governed, clock, store = site.running(), VirtualClock(), Store()
    host = RetentionHost(FakeRetention, period_s=60, log=lambda *_, **__: None, is_held=lambda: governed.holds_purges)
    host.stores = [("alert", store)]  # type: ignore[list-item]
    async with run_actor(host, clock=clock):
        await clock.advance(61)
        assert store.asked == 1
        look(governed)
        set_clock(site.clocks, wall_s=40 * MINUTE, boot_s=1)
        look(governed)
        await clock.advance(600)
        assert store.asked == 1


def test_after_a_reboot_the_wall_clock_ends_it_and_the_boot_clock_of_this_boot(site: Site) -> None:
    site.crash(site.running())
    site.clocks.reboot()
    site.clocks.set_wall(minutes=20)
    governed = site.running()
    assert look(governed).remaining_s == 40 * MINUTE
    set_clock(site.clocks, wall_s=-10 * MINUTE, boot_s=40 * MINUTE)
    assert look(governed).standing is Standing.ENDED


def test_the_operator_is_warned_at_fifteen_and_at_five_minutes_once_each(site: Site) -> None:
    governed = site.running()
    given = []
    for _ in range(60 * 4):
        set_clock(site.clocks, wall_s=15, boot_s=15)
        given.append(look(governed).warning_min)
    assert [one for one in given if one is not None] == [15, 5]
    assert given.index(15) == 45 * 4 - 1
    assert given.index(5) == 55 * 4 - 1
    assert [one["facts"]["minutes"] for one in site.acts("end_is_near")] == [15, 5]


def test_a_late_look_gives_the_nearer_warning_only(site: Site) -> None:
    governed = site.running()
    site.clocks.pass_(minutes=56)
    assert [look(governed).warning_min for _ in range(2)] == [5, None]


def test_an_extension_moves_both_ends_by_as_much_and_warns_anew(site: Site) -> None:
    governed = site.running()
    site.clocks.pass_(minutes=50)
    assert look(governed).warning_min == 15
    # Set back by half an hour: by the wall clock there would be more time.
    set_clock(site.clocks, wall_s=-30 * MINUTE)
    ends_ns = site.deployment().term.ends_ns + 20 * MINUTE * 10**9
    extended(site.vault, site.signers["ada"], 1, ends_ns=ends_ns, reason="in-progress", text="arrest")
    found = look(governed)
    assert (found.remaining_s, found.warning_min, found.standing) == (30 * MINUTE, None, Standing.IN_FORCE)
    site.clocks.pass_(minutes=15)
    assert look(governed).warning_min == 15
    site.clocks.pass_(minutes=15)
    assert look(governed).standing is Standing.ENDED


def test_an_entry_expires_at_its_time(site: Site) -> None:
    site.rows = [a_row("ada", 1), a_row("bob", 2, expires=site.now + HOUR / 2)]
    governed = site.running()
    set_clock(site.clocks, wall_s=1799.75, boot_s=1799.75)
    assert look(governed).withdrawn == ()
    set_clock(site.clocks, wall_s=0.25, boot_s=0.25)
    entry = site.rows[1].about.entry
    assert look(governed).withdrawn == (entry,)
    assert look(governed).withdrawn == ()
    (act,) = site.acts("entry_expired")
    assert act["facts"] == {"deployment": 1, "entry": entry}
    assert withdrawn(site.vault.database, site.deployment().list) == [entry]


def test_an_entry_lives_no_longer_when_the_clock_is_set_back(site: Site) -> None:
    site.rows = [a_row("ada", 1), a_row("bob", 2, expires=site.now + HOUR / 2)]
    governed = site.running()
    look(governed)
    set_clock(site.clocks, wall_s=10 * MINUTE, boot_s=30 * MINUTE)
    assert look(governed).withdrawn == (site.rows[1].about.entry,)


def test_what_another_process_recalls_is_seen_once(site: Site) -> None:
    governed = site.running()
    look(governed)
    entry = site.rows[1].about.entry
    recall(site.vault, site.signers["cem"], 1, entry, reason="wrong-person", text="see note")
    assert [look(governed).withdrawn for _ in range(2)] == [(entry,), ()]
    (act,) = site.acts("entry_recalled")
    assert (act["by"], act["reason"], act["facts"]) == ("person cem", "wrong-person", {"deployment": 1, "entry": entry})
    assert site.vault.database.text(act["n"], site.vault.text_key(1)) == "see note"


def test_anchors_are_made_as_often_as_the_pack_says(site: Site) -> None:
    governed = site.running()
    for _ in range(58):
        site.clocks.pass_(minutes=1)
        look(governed)
    lines = [payload["line"] for _, payload in site.vault.database.pending("anchor")]
    assert len(lines) == 1 + 58 // 15
    assert [one["at"][11:16] for one in site.acts("checkpoint")] == ["12:00", "12:15", "12:30", "12:45"]
    site.expect_chain()


def test_a_stricter_pack_anchors_more_often(site: Site) -> None:
    governed = site.running(site.plan(loaded=pack_with(anchor_every_min=5)))
    for _ in range(11):
        site.clocks.pass_(minutes=1)
        look(governed)
    assert len(site.acts("checkpoint")) == 3


def test_what_is_counted_is_written_down_and_carried_over_a_restart(site: Site) -> None:
    governed = site.running()
    site.clocks.pass_(minutes=1)
    look(governed, seen=7, alerts=1)
    assert (site.deployment().seen, site.deployment().alerts) == (7, 1)
    # Not at every look: that would be four transactions a second.
    look(governed, seen=8)
    assert site.deployment().seen == 7
    governed.stopped("stopped", structs.replace(NOTHING_SEEN, seen=9, alerts=2))
    governed.close()
    again = site.running()
    site.clocks.pass_(minutes=1)
    look(again, seen=5)
    assert (site.deployment().seen, site.deployment().alerts) == (14, 2)
    (act,) = site.acts("capture_stopped")
    assert (act["reason"], act["facts"]["passages_seen"], act["facts"]["failed"]) == ("stopped", 9, False)


def test_who_ends_it_elsewhere_is_heard_at_the_next_look(site: Site) -> None:
    governed = site.running()
    look(governed)
    end(site.vault, 1, signer=site.signers["dee"], why="revoked")
    found = look(governed)
    assert (found.is_ending, found.why, found.standing) == (True, "revoked", Standing.IN_FORCE)


def test_what_was_seen_last_counts_for_how_it_ended(site: Site) -> None:
    governed = site.running()
    end(site.vault, 1, signer=site.signers["dee"], why="closed")
    assert site.deployment().ending is Ending.EMPTY
    governed.begin_end("closed", structs.replace(NOTHING_SEEN, seen=3))
    governed.finish()
    assert site.deployment().ending is Ending.COMPLETED
    assert (site.receipt().ending, site.receipt().passages_seen) == ("completed", 3)


def test_what_is_ended_while_its_run_stops_is_wiped_when_that_has_stopped(site: Site) -> None:
    governed = site.running()
    end(site.vault, 1, signer=site.signers["dee"], why="closed")
    governed.stopped("stopped", structs.replace(NOTHING_SEEN, seen=3))
    assert site.deployment().stage is Stage.CLOSED
    assert (site.receipt().ending, site.receipt().why) == ("completed", "closed")


def test_what_passes_its_end_while_its_run_stops_is_wiped_too(site: Site) -> None:
    governed = site.running()
    site.clocks.pass_(minutes=60)
    governed.stopped("stopped", structs.replace(NOTHING_SEEN, seen=3))
    assert (site.receipt().ending, site.receipt().why) == ("completed", "clock")
    site.expect_chain()


def test_what_is_ended_while_its_run_stops_loses_its_key_though_nothing_can_be_written(site: Site) -> None:
    governed = site.running()
    site.clocks.pass_(minutes=60)
    read_only(governed)
    with pytest.raises(AuditError, match="it may not be written"):
        governed.stopped("stopped", NOTHING_SEEN)
    assert not (site.vault.keyring.folder / "deployment-000001.key").exists()


def test_a_run_that_failed_marks_its_deployment_until_one_goes_well(site: Site) -> None:
    governed = site.running()
    governed.stopped("failed", NOTHING_SEEN, failed=True)
    assert site.deployment().has_failed
    governed.close()
    again = site.running()
    again.stopped("stopped", NOTHING_SEEN)
    assert not site.deployment().has_failed
    again.stopped("failed", NOTHING_SEEN, failed=True)
    again.close()
    site.clocks.pass_(minutes=60)
    settle(site.vault)
    assert site.deployment().ending is Ending.FAILED


def read_only(governed: Governed) -> None:
    governed._vault.database._connection.execute("PRAGMA query_only = 1")


def test_an_audit_that_cannot_be_written_stops_the_run(site: Site) -> None:
    governed = site.running()
    look(governed)
    read_only(governed)
    site.clocks.pass_(minutes=1)
    with pytest.raises(AuditError, match=r"vault\.db: it may not be written: see who owns the file and its folder"):
        look(governed)


def test_an_audit_without_room_stops_the_run(site: Site) -> None:
    governed = site.running()
    connection = governed._vault.database._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(AuditError, match="the disk is full: free some space, then start again"):
        _look_for_a_day(site, governed)
    assert site.deployment().is_capturing
    site.expect_chain()


def _look_for_a_day(site: Site, governed: Governed) -> None:
    for _ in range(24 * 4):
        # Each look makes an anchor.
        set_clock(site.clocks, boot_s=30)
        governed._anchored_ns = -(10**15)
        look(governed)


@pytest.mark.parametrize("ends", ["by the clock", "by an act"])
def test_at_the_end_the_key_is_destroyed_also_where_nothing_can_be_written(site: Site, ends: str) -> None:
    governed = site.running()
    key = site.vault.keyring.folder / "deployment-000001.key"
    read_only(governed)
    if ends == "by the clock":
        site.clocks.pass_(minutes=60)
    else:
        end(site.vault, 1, signer=site.signers["dee"], why="closed")
    found = look(governed)
    assert found.standing is Standing.ENDED or found.is_ending
    assert key.exists()
    with pytest.raises(AuditError, match="it may not be written"):
        governed.begin_end("clock", NOTHING_SEEN)
    assert not key.exists()
    governed.close()
    assert settle(site.vault) == [1]
    assert site.deployment().stage is Stage.CLOSED
    site.expect_chain()
