"""The wipe: the key first, then the rest, then a receipt; cut short anywhere it is finished, and twice is once."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from governance.deployment.support import look
from governance.lists.support import a_row
from lfr_kernel.governance.deployment import wiping
from lfr_kernel.governance.deployment.looking import Tally
from lfr_kernel.governance.deployment.opening import working_copy
from lfr_kernel.governance.deployment.register import end, recall, withdrawn
from lfr_kernel.governance.deployment.wiping import commitments_of, folder_of, receipt_of, settle, wipe
from lfr_kernel.governance.errors import AuditError, RefusedError
from lfr_kernel.governance.lists.file import ListFile
from lfr_kernel.governance.lists.merkle import root_of
from lfr_kernel.governance.standing import Ending, Stage

if TYPE_CHECKING:
    from typing import Any

    from governance.deployment.support import Site

STEPS = ("key_destroyed", "memory_cleared", "files_removed", "database_compacted", "closed")


def ended(site: Site, why: str = "closed") -> None:
    """Run, recall an entry, and let somebody end it while nothing runs."""
    governed = site.running()
    recall(site.vault, site.signers["ben"], 1, site.rows[0].about.entry, reason="found", text=None)
    look(governed, seen=4, alerts=1)
    site.crash(governed)
    end(site.vault, 1, signer=site.signers["ada"], why=why)


def key_file(site: Site) -> Any:
    return site.vault.keyring.folder / "deployment-000001.key"


def test_the_steps_are_done_in_order_and_each_is_true_when_it_is_said(site: Site) -> None:
    ended(site)
    folder = folder_of(site.vault, site.deployment())
    steps = wipe(site.vault, 1)
    assert folder.exists()
    assert key_file(site).exists()
    assert next(steps) == "key_destroyed"
    assert not key_file(site).exists()
    assert folder.exists()
    assert next(steps) == "memory_cleared"
    assert next(steps) == "files_removed"
    assert not folder.exists()
    assert withdrawn(site.vault.database, site.deployment().list)
    assert next(steps) == "database_compacted"
    assert withdrawn(site.vault.database, site.deployment().list) == []
    assert site.vault.database.query("SELECT key FROM deployments") == [(None,)]
    assert receipt_of(site.vault, 1) is None
    assert next(steps) == "closed"
    assert site.vault.database.query("SELECT commitments FROM deployments") == [(None,)]
    assert list(steps) == []


def test_the_receipt_says_what_became_of_the_list_and_nothing_of_who_was_on_it(site: Site) -> None:
    made = site.a_list()
    ended(site)
    site.clocks.pass_(minutes=1)
    assert settle(site.vault) == [1]
    receipt = site.receipt()
    assert receipt.installation == site.vault.installation.installation
    assert (receipt.serial, receipt.authority, receipt.list, receipt.root) == (
        1,
        "EX/1",
        made.header.id,
        made.header.root,
    )
    assert (receipt.entries, receipt.withdrawn, receipt.passages_seen, receipt.alerts) == (3, 1, 4, 1)
    assert (receipt.why, receipt.ending) == ("closed", "completed")
    assert receipt.opened == receipt.ended == "2030-06-01T12:00:00.000000000Z"
    assert [step for step, _ in receipt.steps] == [*STEPS[:-1], "receipt_signed"]
    assert {at for _, at in receipt.steps} == {"2030-06-01T12:01:00.000000000Z"}
    (act,) = site.acts("wiped")
    signed = receipt_of(site.vault, 1)
    assert signed is not None
    assert act["facts"] == {
        "deployment": 1,
        "entries": 3,
        "withdrawn": 1,
        "passages_seen": 4,
        "alerts": 1,
        "ending": "completed",
        "receipt": hashlib.sha256(signed.body).hexdigest(),
    }
    text = signed.body.decode()
    assert not [one for row in site.rows for one in (row.about.person, row.about.entry) if f'"{one}"' in text]
    assert site.acts()[-1]["act"] == "checkpoint"
    site.expect_chain()


def test_what_was_never_opened_is_abandoned_with_a_receipt_of_its_own(site: Site) -> None:
    site.authorise()
    end(site.vault, 1, signer=site.signers["dee"], why="closed")
    settle(site.vault)
    receipt = site.receipt()
    assert (receipt.ending, receipt.opened, receipt.commitments, receipt.entries) == ("abandoned", None, (), 3)
    assert site.path.exists()


def test_an_authority_that_passes_unused_gets_its_record_too(site: Site) -> None:
    site.authorise()
    site.clocks.pass_(minutes=60)
    assert settle(site.vault) == [1]
    assert (site.receipt().ending, site.receipt().why) == ("abandoned", "clock")
    (act,) = site.acts("deployment_ended")
    assert (act["by"], act["reason"], act["facts"]["ending"]) == ("installation", "clock", "abandoned")


@pytest.mark.parametrize(
    ("seen", "why", "is_crashed", "ending"),
    [
        (0, "closed", False, Ending.EMPTY),
        (3, "closed", False, Ending.COMPLETED),
        (3, "revoked", False, Ending.REVOKED),
        (3, "clock", True, Ending.FAILED),
    ],
)
def test_each_kind_of_ending_has_its_record(
    site: Site, seen: int, why: str, ending: Ending, *, is_crashed: bool
) -> None:
    governed = site.running()
    look(governed, seen=seen)
    if not is_crashed:
        governed.stopped("stopped", Tally(seen=seen, alerts=0))
        end(site.vault, 1, signer=site.signers["eva"], why=why)
    site.crash(governed)
    site.clocks.pass_(minutes=60)
    settle(site.vault)
    assert site.deployment().ending is ending
    assert site.receipt().ending == ending.value


def test_a_list_that_was_moved_into_the_way_of_the_wipe_goes_too(site: Site) -> None:
    made = site.a_list()
    data = site.path.read_bytes()
    ended(site)
    assert not site.path.exists()
    site.path.write_bytes(data)
    settle(site.vault)
    assert not site.path.exists()
    assert site.receipt().list == made.header.id


@pytest.mark.parametrize("first", range(len(STEPS)))
@pytest.mark.parametrize("second", range(len(STEPS)))
def test_a_wipe_that_is_cut_short_anywhere_and_again_is_finished_at_the_next_start(
    site: Site, first: int, second: int
) -> None:
    ended(site)
    for number in (first, second):
        if site.deployment().stage is Stage.ENDING:
            steps = wipe(site.vault, 1)
            for _ in range(number):
                next(steps)
            del steps
    settle(site.vault)
    assert settle(site.vault) == []
    assert site.deployment().stage is Stage.CLOSED
    receipt = site.receipt()
    assert (receipt.withdrawn, len(receipt.commitments)) == (1, 3)
    assert [step for step, _ in receipt.steps] == [*STEPS[:-1], "receipt_signed"]
    assert len(site.acts("wiped")) == 1
    assert not folder_of(site.vault, site.deployment()).exists()
    site.expect_chain()


DEATHS = (
    ("destroy_key", 0),
    ("_remove_files", 0),
    ("destroy_file", 0),
    ("shutil.rmtree", 0),
    ("remove_source", 0),
    ("Database.scrub", 0),
    ("sign", 0),
    ("anchor", 0),
    *(("_done", number) for number in range(4)),
)


@pytest.mark.parametrize(("where", "number"), DEATHS)
def test_a_wipe_that_dies_within_a_step_is_finished_at_the_next_start(
    site: Site, monkeypatch: pytest.MonkeyPatch, where: str, number: int
) -> None:
    ended(site)
    with monkeypatch.context() as patch:
        owner: Any = wiping
        if where.startswith("shutil"):
            owner = shutil
        elif where.startswith("Database"):
            owner = type(site.vault.database)
        name, calls = where.rpartition(".")[2], iter(range(99))
        real = getattr(owner, name)

        def die(*arguments: Any, **more: Any) -> Any:
            if next(calls) == number:
                raise KeyboardInterrupt
            return real(*arguments, **more)

        patch.setattr(owner, name, die)
        with pytest.raises(KeyboardInterrupt):
            settle(site.vault)
    assert site.deployment().stage is Stage.ENDING
    assert settle(site.vault) == [1]
    assert site.receipt().withdrawn == 1
    assert not key_file(site).exists()
    site.expect_chain()


def test_what_is_wiped_is_in_neither_the_database_nor_its_log(site: Site) -> None:
    ended(site)
    ((wrapped, commitments),) = site.vault.database.query("SELECT key, commitments FROM deployments")
    canary = "e-" + "q" * 26
    with site.vault.database.transaction() as transaction:
        transaction.execute("INSERT INTO withdrawals (list, entry) VALUES (?, ?)", (site.deployment().list, canary))
    for secret in (wrapped, commitments, canary.encode()):
        assert secret in site.remains()
    settle(site.vault)
    assert wrapped not in site.remains()
    assert canary.encode() not in site.remains()
    assert site.receipt().withdrawn == 2
    # What the receipt holds may lie in the old place until the log is folded in.
    site.vault.close()
    assert commitments not in site.remains()


def test_commitments_are_as_many_as_rows_sorted_and_under_a_salt_that_died_with_the_key(site: Site) -> None:
    made = site.a_list()
    governed = site.running()
    key = key_file(site).read_bytes()
    leaves = ListFile.open(working_copy(site.vault, site.deployment())).leaves
    site.crash(governed)
    end(site.vault, 1, signer=site.signers["ada"], why="closed")
    settle(site.vault)
    found = site.receipt().commitments
    assert len(found) == len(set(found)) == 3
    assert list(found) == sorted(found)
    assert root_of(leaves).hex() == made.header.root
    # Whoever held the key, and he alone, could tell which row is which.
    assert list(found) == commitments_of(key, leaves)
    assert not set(found) & set(commitments_of(bytes(32), leaves))
    assert not set(found) & {hmac.digest(b"", leaf, "sha256").hex() for leaf in leaves}
    assert not set(found) & {leaf.hex() for leaf in leaves}
    assert key not in site.remains()
    assert not list(site.vault.keyring.folder.glob("deployment-*"))


def test_two_deployments_of_the_same_rows_share_no_commitment(site: Site) -> None:
    found = []
    for number in (1, 2):
        site.path.unlink(missing_ok=True)
        site.authorise(id=f"EX/{number}")
        governed = site.running()
        site.crash(governed)
        end(site.vault, number, signer=site.signers["ada"], why="closed")
        settle(site.vault)
        found.append(set(site.receipt(number).commitments))
    assert [len(one) for one in found] == [3, 3]
    assert not found[0] & found[1]
    leaf = (b"\x01" * 32,)
    assert commitments_of(b"\x02" * 32, leaf) != commitments_of(b"\x03" * 32, leaf)


def test_every_key_is_destroyed_though_nothing_can_be_written(site: Site) -> None:
    for number in (1, 2):
        plan = site.plan(list=site.folder / f"{number}.lfrlist", profile_digest=f"{number}" * 64)
        site.authorise(plan, id=f"EX/{number}")
        site.crash(site.running(plan))
    end(site.vault, 1, signer=site.signers["ada"], why="closed")
    site.clocks.pass_(minutes=60)
    keys = site.vault.keyring.folder
    assert len(list(keys.glob("deployment-*.key"))) == 2
    site.vault.database._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(AuditError, match="it may not be written"):
        settle(site.vault)
    assert list(keys.glob("deployment-*.key")) == []
    site.vault.database._connection.execute("PRAGMA query_only = 0")
    assert settle(site.vault) == [1, 2]
    assert (site.receipt(1).why, site.receipt(2).why) == ("closed", "clock")


def test_there_is_no_receipt_before_the_end_and_none_of_what_is_not_there(site: Site) -> None:
    with pytest.raises(RefusedError, match="there is no deployment 1: nothing was authorised yet"):
        receipt_of(site.vault, 1)
    site.authorise()
    assert receipt_of(site.vault, 1) is None
    assert settle(site.vault) == []


def test_recalling_takes_an_id_a_list_that_is_there_and_somebody_who_may(site: Site) -> None:
    site.authorise()
    entry = a_row("x").about.entry

    def take_off(entry: str = entry, by: str = "dee") -> None:
        recall(site.vault, site.signers[by], 1, entry, reason="found", text=None)

    with pytest.raises(RefusedError, match="expected the id of an entry, as e-azxmf3qanb44syrhlka5cpy65a, got 'ada'"):
        take_off("ada")
    with pytest.raises(
        RefusedError, match="entry_recalled needs the role list-builder or reviewer or operator or data"
    ):
        take_off(by="ada")
    take_off()
    with pytest.raises(RefusedError, match=f"entry {entry} was recalled, or has expired, before"):
        take_off()
    end(site.vault, 1, signer=site.signers["ada"], why="closed")
    with pytest.raises(RefusedError, match="deployment 1 is ending: its list is gone, or going"):
        take_off(a_row("y").about.entry)
    settle(site.vault)
    with pytest.raises(RefusedError, match="deployment 1 is closed: its list is gone, or going"):
        take_off(a_row("y").about.entry)
    assert json.dumps(site.acts("entry_recalled")).count(entry) == 1
