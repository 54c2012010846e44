"""Sessions: one unlocking a shift, keys that end with it, and nothing signed by who may not."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.vaults import NOON, PACK, Clocks, Force, person_named
from lfr_kernel.governance.audit.export import export
from lfr_kernel.governance.audit.verifier import verify as verify_log
from lfr_kernel.governance.errors import AuditError, KeyFileError, RefusedError, SealError, SignatureError
from lfr_kernel.governance.installation import update_installation
from lfr_kernel.governance.keys.signing import Envelope, key_id, verify
from lfr_kernel.governance.people.keyfiles import Person, new_person, open_as, read_public, seal_to_operators
from lfr_kernel.governance.people.sessions import end_session, hand_over, open_session, show_sessions, start_session
from lfr_kernel.governance.people.shift import Lock, state_of
from lfr_kernel.governance.people.statements import PackDigest, Role, Roster, SessionCertificate

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from governance.conftest import FoundVault
    from lfr_kernel.governance.keys.signing import Signer
    from lfr_kernel.governance.vault import Vault


def bodies(vault: Vault) -> list[dict[str, Any]]:
    return [msgspec.json.decode(entry.body) for entry in vault.database.entries()]


def acts_of(vault: Vault) -> list[tuple[str, str, str | None]]:
    return [(body["act"], body["by"], body.get("reason")) for body in bodies(vault)[1:]]


def do(vault: Vault, act: str, by: Signer, deployment: int | None = None) -> None:
    with vault.database.transaction() as transaction:
        vault.act(transaction, act, by=by, deployment=deployment)


def test_a_session_signs_for_its_person(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    dee = force.session(vault, "dee")
    do(vault, "deployment_opened", dee)
    assert acts_of(vault) == [("session_started", "person dee", None), ("deployment_opened", "person dee", None)]
    assert bodies(vault)[-1]["key"] == key_id(dee.public)


def test_a_session_begins_with_its_certificate_in_the_chain_signed_by_its_own_key(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    dee = force.session(vault, "dee", deployment=7)
    body = bodies(vault)[-1]
    envelope = msgspec.convert(body["facts"]["certificate"], Envelope)
    public = bytes.fromhex(force.people["dee"].public.signing)
    certificate = verify(envelope, "session-certificate", SessionCertificate, [public])
    assert certificate == SessionCertificate(
        person="dee",
        key=dee.public.hex(),
        installation=vault.installation.installation,
        deployment=7,
        starts=NOON,
        ends=NOON + dt.timedelta(hours=12),
        idle_s=1800,
    )
    assert body["key"] == key_id(dee.public)


def test_only_the_owner_can_read_a_session(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    force.session(vault, "dee")
    path = vault.folder / "sessions" / "dee.session"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="can be read by others"):
        open_session(vault, "dee")
    path.chmod(0o600)
    path.write_text("{}")
    with pytest.raises(KeyFileError, match=r"dee\.session: expected a session, got something else"):
        open_session(vault, "dee")


def test_a_session_is_never_shown_with_its_key(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    force.session(vault, "dee")
    shift = vault.shifts.find("dee")
    assert shift is not None
    assert repr(shift) == "Shift(person='dee')"
    assert shift.sealed not in repr(show_sessions(vault))


def test_the_longest_idle_time_and_the_longest_shift_are_the_strictest_packs(found_vault: FoundVault) -> None:
    short = PackDigest(name="short", digest="0" * 64, session_idle_min=10, session_max_h=9)
    brief = PackDigest(name="brief", digest="1" * 64, session_idle_min=20, session_max_h=4)
    vault, force = found_vault(packs=[short, brief])
    certificate = force.session(vault, "dee").certificate
    assert certificate.idle_s == 600
    assert certificate.ends - certificate.starts == dt.timedelta(hours=4)


def test_a_session_ends_no_later_than_the_roster_says(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    eva = force.session(vault, "eva")
    soon = NOON + dt.timedelta(hours=1)
    update_installation(vault, eva, roster=force.roster(2, dee={"expires": soon}))
    assert force.session(vault, "dee").certificate.ends == soon


def test_an_idle_session_locks_and_its_key_is_gone(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    dee = force.session(vault, "dee")
    force.clocks.pass_(minutes=45)
    with pytest.raises(
        RefusedError,
        match="the session of dee is locked: idle 45 min, limit 30; its key is destroyed: lfr-kernel session start",
    ):
        do(vault, "deployment_opened", dee)
    assert not (vault.folder / "sessions" / "dee.session").exists()
    assert acts_of(vault) == [("session_started", "person dee", None)]
    force.session(vault, "dee")


def test_every_use_moves_the_idle_clock(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    dee = force.session(vault, "dee")
    for _ in range(4):
        force.clocks.pass_(minutes=29)
        do(vault, "deployment_opened", dee)
    assert len(acts_of(vault)) == 5


def test_looking_is_no_use(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    force.session(vault, "dee")
    for _ in range(3):
        force.clocks.pass_(minutes=10)
        open_session(vault, "dee")
    force.clocks.pass_(minutes=1)
    with pytest.raises(RefusedError, match="locked: idle 31 min, limit 30"):
        open_session(vault, "dee")


def test_setting_the_wall_clock_back_does_not_prolong_a_session(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    dee = force.session(vault, "dee")
    for _ in range(24):
        force.clocks.pass_(minutes=29)
        force.clocks.set_wall(minutes=-10)
        do(vault, "deployment_opened", dee)
    force.clocks.pass_(minutes=29)
    with pytest.raises(
        RefusedError,
        match="the session of dee has lasted the 12 h it was given, by the boot clock; its key is",
    ):
        do(vault, "deployment_opened", dee)
    assert vault.shifts.names() == []


def test_before_its_start_a_session_signs_nothing_until_the_clock_is_put_right(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    dee = force.session(vault, "dee")
    force.clocks.set_wall(minutes=-5)
    with pytest.raises(
        RefusedError,
        match="the clock says 2030-06-01T11:55:00Z, and the session of dee started on 2030-06-01T12:00:00Z: the clock",
    ):
        do(vault, "deployment_opened", dee)
    force.clocks.set_wall(minutes=5)
    do(vault, "deployment_opened", dee)
    force.clocks.set_wall(minutes=-5)
    start_session(vault, force.people["dee"])


def test_a_session_is_over_at_its_end_by_the_wall_clock(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    force.session(vault, "dee")
    force.clocks.set_wall(minutes=12 * 60)
    with pytest.raises(RefusedError, match="the session of dee ended on"):
        open_session(vault, "dee")


def test_a_restart_of_the_machine_locks_every_session(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    force.session(vault, "dee")
    force.clocks.reboot()
    with pytest.raises(RefusedError, match="is locked, for the machine was started since it was used"):
        open_session(vault, None)
    assert vault.shifts.names() == []


def test_a_session_whose_last_use_is_not_known_is_locked(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    force.session(vault, "dee")
    (vault.folder / "sessions" / "dee.used").write_text("?")
    with pytest.raises(RefusedError, match="is locked, for the machine was started"):
        open_session(vault, "dee")


minutes = st.integers(0, 24 * 60)


@given(idle=minutes, worked=minutes, wall=st.integers(-24 * 60, 24 * 60))
def test_a_session_signs_exactly_as_long_as_neither_clock_objects(idle: int, worked: int, wall: int) -> None:
    clocks = Clocks()
    started = clocks()
    certificate = SessionCertificate(
        person="dee",
        key="0" * 64,
        installation="0" * 32,
        deployment=None,
        starts=NOON,
        ends=NOON + dt.timedelta(hours=12),
        idle_s=1800,
    )
    clocks.pass_(minutes=worked)
    used = clocks()
    clocks.pass_(minutes=idle)
    clocks.set_wall(minutes=wall)
    by_boot, by_wall = worked + idle, worked + idle + wall
    behind = Lock.BEHIND if by_wall < 0 else None
    expected = Lock.OVER if max(by_boot, by_wall) >= 12 * 60 else Lock.IDLE if idle > 30 else behind
    assert state_of(certificate, started, used, clocks()) is expected


def test_an_ended_session_signs_nothing_more(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    dee = force.session(vault, "dee")
    assert end_session(vault, None) == "dee"
    assert acts_of(vault)[-1] == ("session_ended", "person dee", None)
    assert list((vault.folder / "sessions").iterdir()) == []
    with pytest.raises(RefusedError, match="the session of dee was ended meanwhile"):
        do(vault, "deployment_opened", dee)
    force.session(vault, "dee")
    with pytest.raises(RefusedError, match="the session of dee was ended meanwhile"):
        do(vault, "deployment_opened", dee)


def test_a_late_use_does_not_bring_a_destroyed_key_back(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    force.session(vault, "dee")
    vault.shifts.destroy("dee")
    vault.shifts.touch("dee", force.clocks())
    assert vault.shifts.find("dee") is None
    with pytest.raises(RefusedError, match="dee has no session here: lfr-kernel session start --as dee"):
        open_session(vault, "dee")


def test_the_key_is_destroyed_even_if_the_end_cannot_be_written(
    found_vault: FoundVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, force = found_vault()
    force.session(vault, "dee")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(vault, "act", fail)
    with pytest.raises(OSError, match="No space left"):
        end_session(vault, "dee")
    assert vault.shifts.names() == []


def test_a_shift_is_handed_over_in_one_transaction(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    dee = force.session(vault, "dee")
    hand_over(vault, None, force.people["cem"])
    assert acts_of(vault)[1:] == [
        ("session_ended", "person dee", "handover"),
        ("session_started", "person cem", "handover"),
    ]
    assert vault.shifts.names() == ["cem"]
    with pytest.raises(RefusedError, match="was ended meanwhile"):
        do(vault, "deployment_opened", dee)
    do(vault, "list_reviewed", open_session(vault, None))


def test_a_handover_that_fails_changes_nothing(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    eva = force.session(vault, "eva")
    before = acts_of(vault)
    with pytest.raises(RefusedError, match="expected somebody else to hand over to, got eva"):
        hand_over(vault, None, force.people["eva"])
    with pytest.raises(RefusedError, match="zoe is not on roster 1, which has: ada, ben, cem, dee, eva, fay"):
        hand_over(vault, None, person_named("zoe"))
    assert acts_of(vault) == before
    do(vault, "clock_confirmed", eva)


def test_who_is_not_on_the_roster_starts_nothing(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    with pytest.raises(RefusedError, match="zoe is not on roster 1"):
        start_session(vault, person_named("zoe"))
    with pytest.raises(RefusedError, match="this key file is not the one of dee that is on roster 1"):
        start_session(vault, Person("dee", bytes(64)))
    eva = force.session(vault, "eva")
    update_installation(
        vault, eva, roster=force.roster(2, dee={"revoked": NOON}, cem={"expires": NOON + dt.timedelta(minutes=20)})
    )
    force.clocks.pass_(minutes=20)
    with pytest.raises(RefusedError, match="the keys of dee were revoked on 2030-06-01T12:00:00Z: nothing is signed"):
        start_session(vault, force.people["dee"])
    with pytest.raises(
        RefusedError, match="the roster's entry of cem expired on 2030-06-01T12:20:00Z: the organisation"
    ):
        start_session(vault, force.people["cem"])


def test_who_combines_roles_that_are_kept_apart_by_now_starts_nothing(found_vault: FoundVault) -> None:
    vault, force = found_vault({"ada": ["authoriser", "auditor"]}, packs=[PackDigest(name="demo", digest="0" * 64)])
    later = force.signed_packs(PACK, issued=NOON + dt.timedelta(hours=1))
    with vault.database.transaction() as transaction:
        transaction.append("packs_installed", signer=vault.signer, facts={"packs": later})
    with pytest.raises(
        RefusedError,
        match="ada combines authoriser and auditor, which the installed rule packs keep apart: have a roster",
    ):
        start_session(vault, force.people["ada"])


def test_who_has_a_session_starts_no_second_one(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    force.session(vault, "dee")
    with pytest.raises(
        RefusedError, match="dee has a session here, since 2030-06-01T12:00:00Z: use it, or end it first"
    ):
        start_session(vault, force.people["dee"])
    force.clocks.pass_(minutes=31)
    start_session(vault, force.people["dee"])


def test_a_revocation_ends_a_running_session(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    dee, eva = force.session(vault, "dee"), force.session(vault, "eva")
    update_installation(vault, eva, roster=force.roster(2, dee={"revoked": NOON}))
    with pytest.raises(RefusedError, match="the keys of dee were revoked"):
        do(vault, "deployment_opened", dee)
    with pytest.raises(RefusedError, match="the keys of dee were revoked"):
        open_session(vault, "dee")
    assert vault.shifts.names() == ["eva"]


def test_a_session_counts_no_more_when_its_person_has_another_key(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    dee, eva = force.session(vault, "dee"), force.session(vault, "eva")
    update_installation(vault, eva, roster=force.roster(2, dee={"signing": "1" * 64}))
    with pytest.raises(RefusedError, match="dee has another key on roster 2 than the one that certified this session"):
        do(vault, "deployment_opened", dee)
    with pytest.raises(SignatureError, match="this session-certificate is not signed by key"):
        open_session(vault, "dee")
    assert vault.shifts.names() == ["eva"]


def test_a_crash_before_the_key_is_kept_leaves_a_chain_that_verifies(
    found_vault: FoundVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, force = found_vault()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(vault.shifts, "keep", fail)
        with pytest.raises(OSError, match="No space left"):
            start_session(vault, force.people["dee"])
        assert vault.shifts.names() == []
    do(vault, "deployment_opened", force.session(vault, "dee"))
    export(vault.database, tmp_path / "log.jsonl")
    lines = (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    assert verify_log(lines, [], force.root.organisation.key).findings == []


def test_no_key_is_kept_of_a_session_whose_start_could_not_be_written(
    found_vault: FoundVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, force = found_vault()

    def fail(*_: object, **__: object) -> None:
        raise AuditError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("lfr_kernel.governance.audit.database.Transaction.append", fail)
        with pytest.raises(AuditError, match="the disk is full"):
            start_session(vault, force.people["dee"])
    assert vault.shifts.names() == []


def test_a_new_role_counts_at_once_and_one_that_was_taken_away_no_more(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    dee, eva = force.session(vault, "dee"), force.session(vault, "eva")
    update_installation(vault, eva, roster=force.roster(2, dee={"roles": ("reviewer",)}))
    do(vault, "list_reviewed", dee)
    with pytest.raises(RefusedError, match="deployment_opened needs the role operator, and dee is reviewer"):
        do(vault, "deployment_opened", dee)


def test_nobody_on_shift_is_refused(found_vault: FoundVault) -> None:
    vault, _ = found_vault()
    with pytest.raises(RefusedError, match="nobody is on shift here: lfr-kernel session start --as NAME --key FILE"):
        open_session(vault, None)


def test_of_several_on_shift_one_has_to_be_named(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    force.session(vault, "dee")
    force.clocks.pass_(minutes=25)
    force.session(vault, "eva")
    with pytest.raises(RefusedError, match=r"dee and eva are on shift: say who you are \(--as NAME, or LFR_AS\)"):
        open_session(vault, None)
    assert open_session(vault, "eva").member.name == "eva"
    force.clocks.pass_(minutes=25)
    assert open_session(vault, None).member.name == "eva"
    assert vault.shifts.names() == ["eva"]


def test_when_all_are_locked_nobody_is_taken_for_anybody(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    force.session(vault, "dee")
    force.session(vault, "eva")
    force.clocks.pass_(minutes=45)
    with pytest.raises(RefusedError, match="the sessions of dee and eva were locked"):
        open_session(vault, None)
    assert vault.shifts.names() == []


def test_sessions_can_be_shown(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    force.session(vault, "dee", deployment=7)
    force.clocks.pass_(minutes=20)
    force.session(vault, "eva")
    force.clocks.pass_(minutes=15)
    shown = {one.person: one for one in show_sessions(vault)}
    assert (shown["eva"].idle_s, shown["eva"].locked, shown["eva"].deployment) == (900, None, None)
    assert (shown["dee"].idle_s, shown["dee"].deployment) == (2100, 7)
    assert shown["dee"].locked is not None
    assert shown["dee"].locked.startswith("the session of dee is locked: idle 35 min, limit 30")
    assert [one.person for one in show_sessions(vault)] == ["eva"]


def test_an_outsider_can_verify_a_day_of_sessions(found_vault: FoundVault, tmp_path: Path) -> None:
    vault, force = found_vault()
    dee = force.session(vault, "dee", deployment=7)
    do(vault, "deployment_opened", dee, deployment=7)
    hand_over(vault, None, force.people["eva"])
    force.clocks.pass_(hours=0.4)
    update_installation(
        vault,
        open_session(vault, None),
        roster=force.roster(2, dee={"revoked": NOON}),
        packs=force.signed_packs(issued=NOON + dt.timedelta(hours=1)),
    )
    force.session(vault, "ada")
    end_session(vault, "eva")
    force.clocks.pass_(hours=11)
    with pytest.raises(RefusedError, match="locked"):
        open_session(vault, "ada")
    assert export(vault.database, tmp_path / "log.jsonl") == 9
    lines = (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    result = verify_log(lines, [], force.root.organisation.key)
    assert result.findings == []
    assert result.entries == 9


@pytest.mark.usefixtures("cheap_scrypt")
def test_any_operator_opens_what_was_sealed_to_operators_and_nobody_else(tmp_path: Path) -> None:
    force = Force({}, [PACK], Clocks())
    for name, roles in (("ada", "authoriser"), ("dee", "operator"), ("dov", "operator"), ("dan", "operator")):
        new_person(name, tmp_path / name, name)
        force.people[name] = person_named(name)
        force.roles[name] = (Role(roles),)
    public = {name: read_public(tmp_path / f"{name}.pub") for name in force.people}
    people = tuple(
        force.member(name, signing=public[name].signing, sealing=public[name].sealing) for name in force.people
    )
    people = (*people[:3], msgspec.structs.replace(people[3], revoked=NOON))
    sealed = seal_to_operators(Roster(number=1, issued=NOON, people=people), b"secret", b"unlock 7")
    assert sorted(sealed) == ["dee", "dov"]
    assert open_as(tmp_path / "dee.key", "dee", sealed, b"unlock 7") == b"secret"
    assert open_as(tmp_path / "dov.key", "dov", sealed, b"unlock 7") == b"secret"
    with pytest.raises(RefusedError, match=r"this was sealed to dee, dov, and the key file .* is ada's"):
        open_as(tmp_path / "ada.key", "ada", sealed, b"unlock 7")
    with pytest.raises(SealError, match="wrong passphrase"):
        open_as(tmp_path / "dee.key", "dov", sealed, b"unlock 7")
    with pytest.raises(SealError, match="for another purpose"):
        open_as(tmp_path / "dee.key", "dee", sealed, b"unlock 8")
    with pytest.raises(RefusedError, match="expected an operator on the roster to seal this to, found none"):
        seal_to_operators(Roster(number=1, issued=NOON, people=people[:1]), b"secret", b"unlock 7")
