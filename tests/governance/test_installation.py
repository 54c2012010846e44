"""Installations: founded with what the organisation signed, or not at all; opened only if all of it still holds."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from governance.vaults import NOON, PACK, Clocks, Force
from lfr_kernel.governance.audit.database import Database
from lfr_kernel.governance.errors import KeyFileError, RefusedError, SignatureError
from lfr_kernel.governance.installation import found_installation, new_installation, update_installation
from lfr_kernel.governance.keys.envelopes import read_envelope
from lfr_kernel.governance.keys.signing import KeySigner, sign
from lfr_kernel.governance.people.organisation import Root
from lfr_kernel.governance.people.roles import ACTS, MACHINE_ACTS
from lfr_kernel.governance.people.roster import RosterError
from lfr_kernel.governance.people.statements import PackDigest, Role

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from governance.conftest import FoundVault
    from lfr_kernel.governance.vault import Vault

HOUR = dt.timedelta(hours=1)


def acts_of(vault: Vault) -> list[tuple[str, str, str | None]]:
    """Return act, signer and reason of each entry."""
    bodies = [msgspec.json.decode(entry.body) for entry in vault.database.entries()]
    return [(body["act"], body["by"], body.get("reason")) for body in bodies]


@pytest.fixture
def force() -> Force:
    return Force({"ada": ["authoriser"], "dee": ["operator"]}, [PACK], Clocks())


def found(force: Force, folder: Path, **changes: Any) -> None:
    given = {
        "organisation": force.root.organisation,
        "certificate": force.root.certify(read_envelope(folder / "request.json"), NOON),
        "roster": force.roster(),
        "packs": force.signed_packs(),
        **changes,
    }
    found_installation(folder, given.pop("organisation"), clocks=force.clocks, **given)


def test_a_founded_vault_knows_its_organisation_people_and_packs(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    assert vault.organisation == force.root.organisation
    assert vault.installation.name == "van-3"
    assert [one.name for one in vault.roster.people] == list(force.people)
    assert vault.packs.packs == (PACK,)
    assert acts_of(vault) == [("founded", "installation", None)]


def test_only_the_owner_can_look_into_a_vault(force: Force, tmp_path: Path) -> None:
    force.found(tmp_path / "vault")
    modes = {path.name: path.stat().st_mode & 0o777 for path in [tmp_path / "vault", *(tmp_path / "vault").rglob("*")]}
    secret = {name: mode for name, mode in modes.items() if name != "request.json"}
    assert all(mode in {0o600, 0o700} for mode in secret.values()), secret
    assert secret["installation-signing.key"] == 0o600


def test_a_vault_is_made_where_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(RefusedError, match=r"expected a folder that is empty or not there yet, and .* has notes\.txt"):
        new_installation(tmp_path, "van-3")
    with pytest.raises(RefusedError, match=r"expected a name of up to 64 letters.*got 'van 3'"):
        new_installation(tmp_path / "vault", "van 3")
    (tmp_path / "file").touch()
    with pytest.raises(KeyFileError, match="expected a folder that can be made, got: "):
        new_installation(tmp_path / "file" / "vault", "van-3")


def test_what_was_interrupted_before_the_request_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "vault"
    first = new_installation(folder, "van-3")
    (folder / "request.json").unlink()
    assert new_installation(folder, "van-3").signing != first.signing


def test_a_vault_that_was_not_founded_does_not_open(force: Force, tmp_path: Path) -> None:
    new_installation(tmp_path / "vault", "van-3")
    with pytest.raises(RefusedError, match=r"expected a vault that was founded, found no .*vault\.db: see lfr-kernel"):
        force.open(tmp_path / "vault")


def test_a_vault_is_founded_once(force: Force, tmp_path: Path) -> None:
    folder = force.found(tmp_path / "vault")
    with pytest.raises(
        RefusedError, match="was founded already: for new people or packs, lfr-kernel installation update"
    ):
        found(force, folder)
    with force.open(folder) as vault:
        assert len(acts_of(vault)) == 1


def test_the_certificate_of_another_installation_is_refused(force: Force, tmp_path: Path) -> None:
    new_installation(tmp_path / "one", "van-3")
    new_installation(tmp_path / "two", "van-4")
    other = force.root.certify(read_envelope(tmp_path / "two" / "request.json"), NOON)
    with pytest.raises(RefusedError, match=r"the certificate is that of installation \w{32} \(van-4\), and .*one is"):
        found(force, tmp_path / "one", certificate=other)
    assert not (tmp_path / "one" / "vault.db").exists()


@pytest.mark.parametrize("what", ["certificate", "roster", "packs"])
def test_what_another_organisation_signed_is_refused(force: Force, tmp_path: Path, what: str) -> None:
    new_installation(tmp_path / "vault", "van-3")
    other = Force({"ada": ["authoriser"]}, [PACK], force.clocks)
    other.root = Root("Others", bytes(32))
    signed = {
        "certificate": other.root.certify(read_envelope(tmp_path / "vault" / "request.json"), NOON),
        "roster": other.roster(),
        "packs": other.signed_packs(),
    }
    with pytest.raises(SignatureError, match=f"this .*{what} is not signed by key"):
        found(force, tmp_path / "vault", **{what: signed[what]})
    assert not (tmp_path / "vault" / "vault.db").exists()


def test_one_signed_statement_does_not_serve_as_another(force: Force, tmp_path: Path) -> None:
    new_installation(tmp_path / "vault", "van-3")
    with pytest.raises(SignatureError, match=r"expected a signed roster .*got 'application/vnd\.lfr-kernel\.packs"):
        found(force, tmp_path / "vault", roster=force.signed_packs())


def test_a_request_that_was_changed_is_refused(force: Force, tmp_path: Path) -> None:
    new_installation(tmp_path / "vault", "van-3")
    new_installation(tmp_path / "other", "van-4")
    shutil.copy(tmp_path / "other" / "request.json", tmp_path / "vault" / "request.json")
    with pytest.raises(SignatureError, match="this installation-request is not signed by key"):
        found(force, tmp_path / "vault")


def test_a_request_that_nobody_holds_the_key_of_is_not_certified(force: Force) -> None:
    request = {"installation": "0" * 32, "name": "van-3", "signing": "1" * 64, "sealing": "2" * 64}
    thief = KeySigner("thief", bytes(32))
    with pytest.raises(SignatureError, match="this installation-request is not signed by key"):
        force.root.certify(sign("installation-request", request, thief), NOON)
    with pytest.raises(SignatureError, match="expected the request of an installation, got something else"):
        force.root.certify(force.roster(), NOON)


def test_founding_that_fails_can_be_done_again(force: Force, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_installation(tmp_path / "vault", "van-3")

    def fail(*_: object) -> bytes:
        raise KeyFileError("no room")

    with monkeypatch.context() as patch:
        patch.setattr("lfr_kernel.governance.installation.found_checkpoints", fail)
        with pytest.raises(KeyFileError, match="no room"):
            found(force, tmp_path / "vault")
    found(force, tmp_path / "vault")
    with force.open(tmp_path / "vault") as vault:
        assert acts_of(vault) == [("founded", "installation", None)]


@pytest.mark.parametrize("at", range(1, 9))
def test_a_disk_that_fails_at_any_write_leaves_what_can_be_done_again(
    force: Force, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    folder, count, sync = tmp_path / "vault", 0, os.fsync

    def fail_once(descriptor: int) -> None:
        nonlocal count
        count += 1
        if count == at:
            raise OSError(5, "Input/output error")
        sync(descriptor)

    monkeypatch.setattr("os.fsync", fail_once)
    failures = 0
    for _ in range(2):
        try:
            if not (folder / "request.json").exists():
                new_installation(folder, "van-3")
            found(force, folder)
        except OSError:
            failures += 1
    assert failures == (1 if count > at else 0)
    with force.open(folder) as vault:
        assert acts_of(vault) == [("founded", "installation", None)]


def test_a_vault_without_a_request_is_not_founded(force: Force, tmp_path: Path) -> None:
    unread = force.roster()
    with pytest.raises(RefusedError, match=r"vault has no request\.json: first lfr-kernel installation new"):
        found_installation(
            tmp_path / "vault",
            force.root.organisation,
            certificate=unread,
            roster=unread,
            packs=unread,
            clocks=force.clocks,
        )
    assert not (tmp_path / "vault").exists()


def test_a_database_is_not_moved_to_another_machine(force: Force, tmp_path: Path) -> None:
    one, two = force.found(tmp_path / "one"), force.found(tmp_path / "two")
    shutil.copy(one / "vault.db", two / "vault.db")
    with pytest.raises(
        RefusedError, match=r"its database is that of installation \w{32} \(van-3\), whose keys are not"
    ):
        force.open(two)


def test_a_vault_without_its_key_does_not_open(force: Force, tmp_path: Path) -> None:
    folder = force.found(tmp_path / "vault")
    (folder / "keys" / "installation-signing.key").unlink()
    with pytest.raises(KeyFileError, match=r"installation-signing\.key: No such file"):
        force.open(folder)


def test_people_who_combine_roles_that_are_kept_apart_found_nothing(tmp_path: Path) -> None:
    force = Force({"ada": ["authoriser", "auditor"], "ben": ["list-builder", "reviewer"]}, [PACK], Clocks())
    new_installation(tmp_path / "vault", "van-3")
    with pytest.raises(RosterError) as refused:
        found(force, tmp_path / "vault")
    assert refused.value.problems == (
        "ada combines authoriser and auditor, which the installed rule packs keep apart: nobody does both",
        "ben combines list-builder and reviewer, which the installed rule packs keep apart: nobody does both",
    )


def test_a_newer_roster_is_taken_in_and_counts_at_once(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    eva = force.session(vault, "eva")
    with force.open(vault.folder) as other:
        update_installation(vault, eva, roster=force.roster(2, dee={"revoked": NOON}))
        assert other.roster.number == vault.roster.number == 2
        with pytest.raises(RefusedError, match="the keys of dee were revoked on 2030-06-01T12:00:00Z"):
            other.member("dee")
    assert acts_of(vault)[-1] == ("roster_installed", "person eva", None)
    with force.open(vault.folder) as again:
        assert again.roster.number == 2


@pytest.mark.parametrize("number", [1, 2])
def test_an_older_roster_is_refused(found_vault: FoundVault, number: int) -> None:
    vault, force = found_vault()
    eva = force.session(vault, "eva")
    update_installation(vault, eva, roster=force.roster(2))
    with pytest.raises(RefusedError, match=f"expected a roster above number 2, got number {number}"):
        update_installation(vault, eva, roster=force.roster(number))


def test_older_packs_are_refused(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    eva = force.session(vault, "eva")
    lax = PackDigest(name="lax", digest="0" * 64)
    with pytest.raises(
        RefusedError,
        match="expected packs that were signed after 2030-06-01T12:00:00Z, got ones of 2030-06-01T11:00:00Z",
    ):
        update_installation(vault, eva, packs=force.signed_packs(lax, issued=NOON - HOUR))
    update_installation(vault, eva, packs=force.signed_packs(lax, issued=NOON + HOUR))
    assert vault.packs.packs == (lax,)
    assert acts_of(vault)[-1] == ("packs_installed", "person eva", None)


def test_an_update_is_whole_or_nothing(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    eva = force.session(vault, "eva")
    before = acts_of(vault)
    with pytest.raises(RefusedError, match="expected packs that were signed after"):
        update_installation(vault, eva, roster=force.roster(2), packs=force.signed_packs())
    assert vault.roster.number == 1
    assert acts_of(vault) == before
    with pytest.raises(RefusedError, match="expected a roster, packs, or both"):
        update_installation(vault, eva)


def test_nobody_installs_their_own_end(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    eva = force.session(vault, "eva")
    with pytest.raises(RefusedError, match="the keys of eva were revoked on 2030-06-01T12:00:00Z"):
        update_installation(vault, eva, roster=force.roster(2, eva={"revoked": NOON}))
    del force.people["eva"]
    with pytest.raises(RefusedError, match="eva is not on roster 2, and so cannot be the one who installs it"):
        update_installation(vault, eva, roster=force.roster(2))
    assert vault.roster.number == 1


def test_packs_that_keep_apart_what_somebody_combines_are_refused(found_vault: FoundVault) -> None:
    vault, force = found_vault({"eva": ["data-protection", "auditor"]})
    eva = force.session(vault, "eva")
    apart = PackDigest(name="more", digest="0" * 64, separate_roles=((Role.DATA_PROTECTION, Role.AUDITOR),))
    with pytest.raises(RosterError, match="roster 1: eva combines data-protection and auditor"):
        update_installation(vault, eva, packs=force.signed_packs(apart, issued=NOON + HOUR))


def test_who_may_not_update_does_not(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    dee = force.session(vault, "dee")
    with pytest.raises(
        RefusedError, match="roster_installed needs the role authoriser or data-protection, and dee is operator: ask"
    ):
        update_installation(vault, dee, roster=force.roster(2))
    assert vault.roster.number == 1


def test_a_chain_with_an_older_roster_in_it_does_not_open(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    with vault.database.transaction() as transaction:
        transaction.append("roster_installed", signer=vault.signer, facts={"roster": force.roster(1)})
    with pytest.raises(RefusedError, match=r"entry 2 of its chain puts in an older roster than entry 1 did"):
        force.open(vault.folder)


def test_a_chain_with_a_roster_that_the_organisation_did_not_sign_does_not_open(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    forged = sign("roster", {"number": 9}, vault.signer)
    with vault.database.transaction() as transaction:
        transaction.append("roster_installed", signer=vault.signer, facts={"roster": forged})
    with pytest.raises(SignatureError, match="this roster is not signed by key"):
        force.open(vault.folder)


def test_a_chain_that_begins_with_something_else_does_not_open(force: Force, tmp_path: Path) -> None:
    folder = force.found(tmp_path / "vault")
    (folder / "vault.db").unlink()
    stranger = KeySigner("installation", bytes(32))
    with Database.create(folder / "vault.db", clocks=force.clocks) as database, database.transaction() as transaction:
        transaction.append("founded", signer=stranger, facts={"organisation": 3})
    with pytest.raises(SignatureError, match="what the organisation signed cannot be read from the chain"):
        force.open(folder)
    (folder / "vault.db").unlink()
    Database.create(folder / "vault.db", clocks=force.clocks).close()
    with pytest.raises(RefusedError, match="was not founded yet: lfr-kernel installation found"):
        force.open(folder)


def test_the_machine_signs_machine_acts_only(found_vault: FoundVault) -> None:
    vault, _ = found_vault()
    for act in ACTS:
        with pytest.raises(RefusedError, match=f"{act} is no act of a machine: a person has to sign it"):
            vault.may(act, vault.signer)
    for act in MACHINE_ACTS:
        vault.may(act, vault.signer)


def test_a_person_signs_no_act_of_the_machine(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    dee = force.session(vault, "dee")
    for act in MACHINE_ACTS:
        with pytest.raises(RefusedError, match=f"'{act}' is no act that a person may do"):
            vault.may(act, dee)


def test_no_act_is_both_a_persons_and_the_machines() -> None:
    assert not MACHINE_ACTS & set(ACTS)


def test_an_unknown_key_signs_nothing(found_vault: FoundVault) -> None:
    vault, _ = found_vault()
    thief = KeySigner("person ada", bytes(32))
    with (
        pytest.raises(RefusedError, match="neither a session nor this installation"),
        vault.database.transaction() as one,
    ):
        vault.act(one, "authorised", by=thief)


def test_a_text_lies_under_the_key_of_its_deployment(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    dee = force.session(vault, "dee")
    with vault.database.transaction() as transaction:
        entry = vault.act(transaction, "deployment_opened", by=dee, text="rain", deployment=7)
    assert "rain" not in entry.body
    assert vault.database.text(entry.number, vault.text_key(7)) == "rain"
    assert vault.text_key(7) == vault.text_key(7) != vault.text_key(None)
    assert vault.keyring.has("text-7")


def test_what_is_no_text_is_refused_before_it_is_signed(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    dee = force.session(vault, "dee")
    head = vault.database.head()
    with (
        pytest.raises(RefusedError, match="expected a text in UTF-8, got bytes that are none"),
        vault.database.transaction() as one,
    ):
        vault.act(one, "deployment_opened", by=dee, text="caf\udce9", deployment=7)
    assert vault.database.head() == head


def test_two_processes_may_have_a_vault_open(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    with force.open(vault.folder) as other:
        assert other.installation == vault.installation


@pytest.mark.skipif(sys.platform != "linux", reason="asks as Linux is asked")
@pytest.mark.parametrize("command", [("installation", "show"), ("session", "show", "--vault"), ("audit", "show")])
def test_no_command_that_opens_a_vault_can_be_dumped(force: Force, tmp_path: Path, command: tuple[str, ...]) -> None:
    folder = force.found(tmp_path / "vault")
    where = () if command[0] == "audit" else (str(folder),)
    question = """
import ctypes, sys
from lfr_kernel.governance.vault import Vault
from lfr_kernel.governance.audit.database import Database
first = Database.__init__
def note(*arguments, **more):
    print("dumpable", ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), file=sys.stderr)
    return first(*arguments, **more)
Database.__init__ = note
from lfr_kernel.cli import script
script()
"""
    arguments = (*command, *where, *(("--vault", str(folder)) if command[0] == "audit" else ()))
    ran = subprocess.run(  # noqa: S603  (our own command)
        [sys.executable, "-c", question, *arguments], check=False, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert "dumpable 0" in ran.stderr
