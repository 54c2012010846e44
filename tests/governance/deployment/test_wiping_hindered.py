"""A wipe in whose way something is: it is finished all the same, and its receipt claims no more than was done."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from governance.deployment.support import HOUR, LIVE, Site, look, set_clock
from governance.lists.support import a_row
from lfr_kernel.governance.deployment import wiping
from lfr_kernel.governance.deployment.custody import destroy_keys
from lfr_kernel.governance.deployment.opening import permitted
from lfr_kernel.governance.deployment.register import end, recall, withdrawn
from lfr_kernel.governance.deployment.settling import settle_unless_running
from lfr_kernel.governance.deployment.wiping import folder_of, settle
from lfr_kernel.governance.errors import AuditError, KeyFileError
from lfr_kernel.governance.lists.file import ListFile
from lfr_kernel.governance.permit import PermitRefusedError
from lfr_kernel.governance.standing import Ending, Stage, Standing

if TYPE_CHECKING:
    from collections.abc import Callable


def ended(site: Site) -> None:
    site.crash(site.running())
    end(site.vault, 1, signer=site.signers["ada"], why="closed")


def steps_of(site: Site) -> list[str]:
    return [step for step, _ in site.receipt().steps]


WITHOUT_THE_LIST = [
    "key_destroyed", "memory_cleared", "sealed_list_not_removed", "database_compacted", "receipt_signed",
]  # fmt: skip


def of_the_list(site: Site, real: Callable[..., Any], error: type[OSError] = OSError) -> Callable[..., Any]:
    """Let something fail for the sealed list, and for nothing else."""

    def fail(path: Path, *arguments: Any, **more: Any) -> Any:
        if path == site.path:
            raise error(30, "Read-only file system")
        return real(path, *arguments, **more)

    return fail


@pytest.mark.parametrize(
    ("owner", "name", "error"),
    [
        (wiping, "destroy_file", OSError),
        (Path, "unlink", OSError),
        (Path, "open", PermissionError),
        (Path, "exists", OSError),
        (ListFile, "open", OSError),
    ],
)
def test_a_sealed_list_that_cannot_be_removed_is_in_the_receipt_and_stops_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, error: type[OSError]
) -> None:
    sealed = site.a_list().path.read_bytes()
    ended(site)
    site.path.write_bytes(sealed)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, of_the_list(site, getattr(owner, name), error))
        assert settle(site.vault) == [1]
    assert site.path.exists()
    assert steps_of(site) == WITHOUT_THE_LIST
    assert site.deployment().stage is Stage.CLOSED
    assert not folder_of(site.vault, site.deployment()).exists()
    site.expect_chain()


def test_a_sealed_list_that_was_removed_though_not_overwritten_is_gone(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = site.a_list().path.read_bytes()
    ended(site)
    site.path.write_bytes(sealed)
    real = wiping.destroy_file

    def destroy(path: Path) -> bool:
        done = real(path)
        if path == site.path:
            raise KeyFileError(f"{path} was removed, but could not be overwritten before")
        return done

    monkeypatch.setattr(wiping, "destroy_file", destroy)
    assert settle(site.vault) == [1]
    assert "files_removed" in steps_of(site)


def test_whoever_reads_the_database_stops_no_wipe(site: Site) -> None:
    ended(site)
    site.vault.database._connection.execute("PRAGMA busy_timeout = 0")
    reader = sqlite3.connect(site.vault.folder / "vault.db", isolation_level=None)
    try:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM entries").fetchone()[0] > 5
        with pytest.raises(AuditError):
            site.vault.database.scrub()
        assert settle(site.vault) == [1]
    finally:
        reader.close()
    assert steps_of(site) == [
        "key_destroyed", "memory_cleared", "files_removed", "log_not_emptied", "receipt_signed",
    ]  # fmt: skip
    assert site.deployment().stage is Stage.CLOSED
    assert site.vault.database.query("SELECT key, commitments FROM deployments") == [(None, None)]
    site.expect_chain()


def test_of_a_list_that_was_never_opened_the_receipt_claims_nothing_and_leaves_it(site: Site) -> None:
    site.authorise()
    sealed = site.path.read_bytes()
    end(site.vault, 1, signer=site.signers["dee"], why="closed")
    assert settle(site.vault) == [1]
    assert steps_of(site) == ["receipt_signed"]
    assert (site.receipt().ending, site.receipt().withdrawn) == ("abandoned", 0)
    assert site.path.read_bytes() == sealed
    site.expect_chain()


def test_who_was_recalled_stays_off_a_list_that_is_authorised_again(site: Site) -> None:
    site.authorise()
    entry = site.rows[2].about.entry
    recall(site.vault, site.signers["ben"], 1, entry, reason="found", text=None)
    end(site.vault, 1, signer=site.signers["dee"], why="closed")
    settle(site.vault)
    assert set(withdrawn(site.vault.database, site.deployment().list)) == {entry}
    site.authorise(id="EX/2")
    governed = site.running()
    assert governed.deployment is not None
    assert governed.deployment.serial == 2
    assert governed.listed is not None
    assert governed.listed.persons == ("ada",)
    site.crash(governed)
    end(site.vault, 2, signer=site.signers["dee"], why="closed")
    settle(site.vault)
    assert site.receipt(2).withdrawn == 1
    assert withdrawn(site.vault.database, site.deployment().list) == []


def two_open(site: Site) -> list[Path]:
    """Two deployments whose lists are open; return where their keys are."""
    for number in (1, 2):
        plan = site.plan(list=site.folder / f"{number}.lfrlist", profile_digest=f"{number}" * 64)
        site.authorise(plan, id=f"EX/{number}")
        site.crash(site.running(plan))
    keys = sorted(site.vault.keyring.folder.glob("deployment-*.key"))
    assert len(keys) == 2
    return keys


@pytest.mark.parametrize("how", ["at a start", "in an emergency"])
def test_a_key_that_cannot_be_overwritten_is_removed_and_so_are_all_others(
    site: Site, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    first, second = two_open(site)
    site.clocks.pass_(minutes=60)
    calls = []

    def fail(_: int) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(
            KeyFileError, match=rf"{first.name} was removed, but could not be overwritten before: Input"
        ):
            settle(site.vault) if how == "at a start" else destroy_keys(site.vault.folder)
    assert (first.exists(), second.exists()) == (False, False)
    assert settle(site.vault) == [1, 2]
    assert site.vault.keyring.has("installation-signing")


def test_keys_can_be_destroyed_though_the_database_is_damaged(site: Site) -> None:
    first, second = two_open(site)
    site.vault.close()
    database = site.vault.folder / "vault.db"
    good = database.read_bytes()
    database.write_bytes(b"\xff" * 4096)
    with pytest.raises(AuditError):
        site.force.open(site.vault.folder)
    assert destroy_keys(site.vault.folder) == [first.stem, second.stem]
    assert (first.exists(), second.exists()) == (False, False)
    assert destroy_keys(site.vault.folder) == []
    database.write_bytes(good)
    site.vault = site.force.open(site.vault.folder)
    assert settle(site.vault) == [1, 2]
    for number in (1, 2):
        assert (site.receipt(number).why, site.deployment(number).ending) == ("key_gone", Ending.FAILED)
    site.expect_chain()
    site.vault.close()


def test_what_has_ended_by_the_time_that_was_certain_is_wiped_at_the_next_start(site: Site) -> None:
    """The machine was started anew, and its clock set back, before anything tied the term to this boot."""
    site.rows = [a_row("ada", 1)]
    governed = site.running()
    look(governed)
    site.crash(governed)
    site.clocks.reboot()
    site.clocks.pass_(minutes=30)
    site.force.session(site.vault, "dee")  # an entry of the chain: it was 12:30 then
    site.clocks.pass_(minutes=29)
    set_clock(site.clocks, wall_s=-1800)
    assert settle(site.vault) == []
    permitted(site.vault, site.plan(), LIVE, swap=())
    site.clocks.pass_(minutes=1)
    with pytest.raises(PermitRefusedError, match="authority EX/1 has ended"):
        permitted(site.vault, site.plan(), LIVE, swap=())
    assert settle(site.vault) == [1]
    assert site.receipt().why == "clock"


def test_what_ends_while_the_kernel_runs_under_another_authority_is_wiped_by_that(site: Site) -> None:
    plans = [site.plan(list=site.folder / f"{number}.lfrlist", profile_digest=f"{number}" * 64) for number in (1, 2)]
    site.authorise(plans[0])
    site.crash(site.running(plans[0]))
    site.authorise(plans[1], id="EX/2", ends=site.now + 3 * HOUR)
    running = site.running(plans[1])
    look(running)
    site.clocks.pass_(minutes=59)
    look(running)
    assert site.deployment(1).stage is Stage.OPEN
    site.clocks.pass_(minutes=2)
    assert settle_unless_running(site.vault) == []
    assert look(running).standing is Standing.IN_FORCE
    assert (site.deployment(1).stage, site.deployment(2).stage) == (Stage.CLOSED, Stage.OPEN)
    assert [one.name for one in site.vault.keyring.folder.glob("deployment-*.key")] == ["deployment-000002.key"]


def test_what_somebody_ends_is_wiped_at_the_next_look_of_the_kernel_that_runs_under_another(site: Site) -> None:
    plans = [site.plan(list=site.folder / f"{number}.lfrlist", profile_digest=f"{number}" * 64) for number in (1, 2)]
    site.authorise(plans[0])
    site.crash(site.running(plans[0]))
    site.authorise(plans[1], id="EX/2")
    running = site.running(plans[1])
    look(running)
    end(site.vault, 1, signer=site.signers["ada"], why="revoked")
    assert settle_unless_running(site.vault) == []
    look(running)
    assert site.receipt(1).why == "revoked"
    assert site.deployment(2).stage is Stage.OPEN
    site.expect_chain()


def test_who_was_recalled_stays_off_though_the_register_forgets_it(site: Site) -> None:
    site.authorise()
    recall(site.vault, site.signers["ben"], 1, site.rows[2].about.entry, reason="found", text=None)
    with site.vault.database.transaction() as transaction:
        transaction.execute("DELETE FROM withdrawals")
    governed = site.running()
    assert governed.listed is not None
    assert governed.listed.persons == ("ada",)


def test_a_working_copy_that_cannot_be_removed_is_an_error_that_says_which(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(site)

    def refuse(_: object) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", refuse)
        with pytest.raises(KeyFileError, match=r"000001 could not be removed: Read-only file system; remove it"):
            settle(site.vault)
    assert site.deployment().stage is Stage.ENDING
    assert settle(site.vault) == [1]


def test_a_look_reads_the_chain_for_no_other_deployment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain grows to tens of thousands of entries, and a look comes four times a second."""
    running = site.running()
    look(running)

    def read(_: object) -> None:
        raise AssertionError("the whole chain was read")

    monkeypatch.setattr(wiping, "known_time", read)
    site.authorise(site.plan(list=site.folder / "2.lfrlist", profile_digest="2" * 64), id="EX/2")
    for _ in range(4):
        site.clocks.pass_(minutes=1)
        look(running)
    monkeypatch.undo()
    site.clocks.pass_(minutes=60)
    assert settle(site.vault, but=1) == [2]
