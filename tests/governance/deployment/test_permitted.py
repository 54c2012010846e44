"""The permit: what may capture now, and every reason why nothing may."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from governance.deployment.support import HOUR, LIVE, NOTHING_SEEN, PACK, look, pack_with, set_clock
from lfr_kernel.governance.deployment.clockwork import confirm_clock, is_held, known_time
from lfr_kernel.governance.deployment.opening import permit_of, permitted
from lfr_kernel.governance.deployment.register import end
from lfr_kernel.governance.deployment.settling import lock_of, settle_unless_running
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.installation import update_installation
from lfr_kernel.governance.people.sessions import end_session
from lfr_kernel.governance.permit import PermitRefusedError
from lfr_kernel.governance.rules import PackError, load_pack
from lfr_kernel.governance.standing import Stage
from lfr_kernel.testing.fakes import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from governance.deployment.support import Site
    from lfr_kernel.governance.deployment.plan import Plan
    from lfr_kernel.governance.deployment.register import Deployment


def permit(
    site: Site, plan: Plan | None = None, paces: Mapping[str, str] = LIVE, swap: tuple[str, ...] = ()
) -> Deployment:
    return permitted(site.vault, plan or site.plan(), paces, swap=swap)


def test_what_is_in_force_for_this_profile_may_capture(site: Site) -> None:
    deployment = site.authorise()
    assert permit(site) == deployment
    assert str(permit_of(deployment, site.plan())) == "authority (EX/1, deployment 1, pack uk-met)"
    marked = site.plan(loaded=pack_with(mark="DEMONSTRATION"))
    assert permit_of(deployment, marked).statement == "DEMONSTRATION; EX/1, deployment 1, pack uk-met"


def test_without_an_authority_nothing_captures(site: Site) -> None:
    with pytest.raises(PermitRefusedError, match=r"no authority for this profile, SHA-256 \w{12}…: nothing is authori"):
        permit(site)


def test_a_profile_that_was_changed_takes_another_authority(site: Site) -> None:
    site.authorise()
    with pytest.raises(
        PermitRefusedError,
        match=r"no authority for this profile, SHA-256 \w+…: deployment 1 \(authority EX/1\) is for profile spring as "
        r"it was with SHA-256 \w{12}…; lfr-kernel authorise signs one",
    ):
        permit(site, site.plan(profile_digest=digest_of("changed")))


def test_an_authority_is_good_between_its_times_only(site: Site) -> None:
    site.authorise(starts=site.now + HOUR, ends=site.now + 2 * HOUR)
    with pytest.raises(PermitRefusedError, match="authority EX/1 begins at 2030-06-01T13:00Z, and it is 2030-06-01T12"):
        permit(site)
    site.clocks.pass_(minutes=60)
    permit(site)
    site.clocks.pass_(minutes=60)
    with pytest.raises(PermitRefusedError, match="authority EX/1 has ended"):
        permit(site)


def test_what_was_closed_permits_nothing(site: Site) -> None:
    site.authorise()
    end(site.vault, 1, signer=site.signers["ada"], why="closed")
    with pytest.raises(PermitRefusedError, match="nothing is authorised"):
        permit(site)


def test_one_that_is_open_goes_before_one_that_is_yet_to_come(site: Site) -> None:
    site.crash(site.running(ends=site.now + 2 * HOUR))
    second = site.plan(list=site.folder / "second.lfrlist")
    site.authorise(second, id="EX/2", starts=site.now - HOUR)
    assert permit(site).serial == 1


def test_searching_recordings_is_another_act(site: Site) -> None:
    site.authorise()
    with pytest.raises(
        RefusedError,
        match="profile spring: gate would play a recording, and pack uk-met opens a list with live cameras",
    ):
        permit(site, paces={"gate": "realtime"})


def test_a_pack_that_plays_files_opens_no_camera(site: Site) -> None:
    site.authorise()
    with pytest.raises(RefusedError, match="gate would open a live camera, and pack uk-met plays files only"):
        permit(site, site.plan(loaded=pack_with(media="files")))
    permit(site, site.plan(loaded=pack_with(media="files")), {"gate": "unpaced"})


def test_the_machine_and_the_evidence_are_as_the_pack_wants_them(site: Site) -> None:
    site.authorise()
    strict = site.plan(loaded=pack_with(refuse_unencrypted_swap=True), has_report=False)
    with pytest.raises(RefusedError) as refused:
        permit(site, strict, swap=("swap on /dev/sda2 is not encrypted",))
    assert str(refused.value) == (
        "profile spring: 2 reasons\n"
        "  swap on /dev/sda2 is not encrypted\n"
        "  pack uk-met asks for an evaluation report (require_report), and the profile cites none: see [basis]"
    )
    permit(site, structs.replace(strict, has_report=True))
    permit(site, site.plan(loaded=pack_with(require_report=False), has_report=False), swap=("not asked for",))


def test_a_template_permits_nothing(site: Site) -> None:
    site.authorise()
    template = structs.replace(load_pack("eu"), digest=PACK.digest)
    with pytest.raises(PackError, match=r"a template, [0-9]+ of its rules are to be completed"):
        permit(site, site.plan(loaded=template))


def test_another_pack_takes_another_authority(site: Site) -> None:
    site.authorise()
    newer = structs.replace(PACK, name="newer", digest=digest_of("newer"))
    site.clocks.pass_(minutes=1)
    packs = site.force.signed_packs(PACK, newer, issued=site.now)
    update_installation(site.vault, site.signers["eva"], packs=packs)
    with pytest.raises(
        PermitRefusedError, match=r"authority EX/1 was signed with rule pack \w{8}…, the profile's is \w{8}…: have it"
    ):
        permit(site, site.plan(loaded=structs.replace(pack_with(), digest=newer.digest)))
    unsigned = structs.replace(pack_with(), digest=digest_of("unsigned"))
    with pytest.raises(RefusedError, match="is none of those that Example Police signed"):
        permit(site, site.plan(loaded=unsigned))


BEHIND = (
    r"the clock says 2030-06-01T{now}Z, which is before the last audited time, 2030-06-01T12:10:00Z: set the clock "
    "right; if it is right, lfr-kernel authority confirm-clock"
)


def test_a_machine_that_starts_in_the_past_captures_nothing_until_its_clock_is_right(site: Site) -> None:
    governed = site.running()
    site.clocks.pass_(minutes=10)
    look(governed)
    site.crash(governed)
    site.clocks.reboot()
    site.clocks.set_wall(minutes=-8)
    with pytest.raises(PermitRefusedError, match=BEHIND.format(now="12:02:00")):
        permit(site)
    site.clocks.set_wall(minutes=8)
    assert permit(site).stage is Stage.OPEN


def test_a_session_that_starts_in_the_past_does_not_make_it_the_present(site: Site) -> None:
    site.authorise()
    site.clocks.pass_(minutes=10)
    end_session(site.vault, "ada")
    site.clocks.reboot()
    site.clocks.set_wall(minutes=-8)
    site.force.session(site.vault, "eva")
    with pytest.raises(PermitRefusedError, match=BEHIND.format(now="12:02:00")):
        permit(site)


@pytest.mark.parametrize("minutes", [-8, -30])
def test_somebody_may_say_that_the_clock_is_right_as_it_is(site: Site, minutes: int) -> None:
    governed = site.running()
    site.clocks.pass_(minutes=10)
    look(governed)
    site.crash(governed)
    site.clocks.reboot()
    site.clocks.set_wall(minutes=minutes)
    eva = site.force.session(site.vault, "eva")
    confirm_clock(site.vault, eva)
    (act,) = site.acts("clock_confirmed")
    assert (act["facts"]["was"] - act["facts"]["now"]) == -minutes * 60 * 10**9
    found = known_time(site.vault.database)
    assert found is not None
    assert found.utc_ns == site.clocks.now.utc_ns
    if minutes == -30:
        with pytest.raises(
            PermitRefusedError, match="authority EX/1 begins at 2030-06-01T12:00Z, and it is 2030-06-01"
        ):
            permit(site)
        site.clocks.pass_(minutes=30)
    assert permit(site).stage is Stage.OPEN
    site.expect_chain()


def test_only_keepers_confirm_a_clock_and_only_where_there_is_something_to_confirm(site: Site) -> None:
    with pytest.raises(
        RefusedError, match="there is nothing to confirm: the clock is not behind, and no purge is held"
    ):
        confirm_clock(site.vault, site.signers["eva"])
    site.authorise()
    set_clock(site.clocks, wall_s=60, is_synchronised=False)
    with pytest.raises(PermitRefusedError):
        permit(site)
    with pytest.raises(RefusedError, match="clock_confirmed needs the role authoriser or data-protection, and dee is"):
        confirm_clock(site.vault, site.signers["dee"])
    assert is_held(site.vault.database)


JUMPED = "the clock was set forward and nothing keeps it in step: capture and purges wait until somebody confirms it"


def test_a_clock_that_jumped_holds_capture_and_purges_until_somebody_confirms_it(site: Site) -> None:
    site.authorise()
    set_clock(site.clocks, wall_s=11, is_synchronised=False)
    for _ in range(2):
        with pytest.raises(PermitRefusedError, match=JUMPED):
            permit(site)
    assert is_held(site.vault.database)
    assert len(site.acts("clock_jumped")) == 1
    # It stays so when somebody sets it back: what it was in between nobody knows.
    set_clock(site.clocks, wall_s=-11, is_synchronised=False)
    with pytest.raises(PermitRefusedError, match=JUMPED):
        permit(site)
    confirm_clock(site.vault, site.signers["eva"])
    assert not is_held(site.vault.database)
    permit(site)
    site.expect_chain()


def test_what_people_do_after_a_jump_does_not_hide_it(site: Site) -> None:
    site.authorise()
    set_clock(site.clocks, wall_s=60, is_synchronised=False)
    site.authorise(site.plan(list=site.folder / "second.lfrlist"), id="EX/2")
    with pytest.raises(PermitRefusedError, match=JUMPED):
        permit(site)
    confirm_clock(site.vault, site.signers["ada"])
    permit(site)


def test_a_clock_within_tolerance_or_in_step_is_believed(site: Site) -> None:
    site.authorise()
    set_clock(site.clocks, wall_s=9, is_synchronised=False)
    permit(site)
    set_clock(site.clocks, wall_s=60, is_synchronised=True)
    permit(site)
    assert not is_held(site.vault.database)


def test_one_kernel_at_a_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lfr_kernel.governance.deployment.governed.LOCK_WAIT_S", 0)
    running = site.running()
    second = site.governed()
    with pytest.raises(RefusedError, match=r"another kernel runs on vault .*: one at a time; end the other first"):
        second.issue("authority", LIVE)
    running.stopped("stopped", NOTHING_SEEN)
    running.close()
    second.issue("authority", LIVE)
    assert second.deployment is not None
    assert second.deployment.serial == 1


def test_what_is_over_is_ended_and_wiped_before_anything_is_permitted(site: Site) -> None:
    site.crash(site.running())
    site.clocks.pass_(minutes=61)
    with pytest.raises(PermitRefusedError, match="nothing is authorised"):
        site.governed().issue("authority", LIVE)
    assert site.deployment().stage is Stage.CLOSED
    assert site.receipt().why == "clock"


def test_a_start_waits_for_a_command_that_is_finishing_a_wipe(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.crash(site.running())
    command = lock_of(site.vault)
    command.acquire()
    monkeypatch.setattr("time.sleep", lambda _: command.release())
    second = site.governed()
    second.issue("authority", LIVE)
    assert second.deployment is not None


@pytest.mark.parametrize("by", ["a command", "a start"])
def test_a_lock_that_cannot_be_taken_is_named_with_its_remedy(site: Site, by: str) -> None:
    site.authorise()
    (site.vault.folder / "running.lock").unlink(missing_ok=True)
    (site.vault.folder / "running.lock").mkdir()
    with pytest.raises(RefusedError, match=r"running\.lock: .*; expected a file that this account can write"):
        settle_unless_running(site.vault) if by == "a command" else site.governed().issue("authority", LIVE)
