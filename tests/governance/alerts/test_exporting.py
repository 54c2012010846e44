"""An alert that is handed on: whole for whom it is for, closed to everybody else, and never without an entry."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
import stat
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from governance.vaults import person_named
from lfr_kernel.governance.alerts import exporting
from lfr_kernel.governance.alerts.exporting import ALERT, Exported, export
from lfr_kernel.governance.alerts.purging import purge
from lfr_kernel.governance.alerts.statements import Assessed, Closed, Engaged, Looked
from lfr_kernel.governance.alerts.states import State
from lfr_kernel.governance.alerts.vocabulary import Reason, Verdict
from lfr_kernel.governance.errors import AuditError, RefusedError, SealError
from lfr_kernel.governance.keys.recipient import fingerprint_of, header_of, open_with
from lfr_kernel.governance.keys.signing import Envelope, verify
from lfr_kernel.governance.people.organisation import Organisation
from lfr_kernel.governance.people.recipients import Recipient

if TYPE_CHECKING:
    from pathlib import Path

    from governance.alerts.support import Duty, OpenDuty
    from lfr_kernel.governance.alerts.store import Kept

KEY = X25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
COURT = Recipient(name="crown-court", sealing=KEY.public_key().public_bytes_raw().hex())


def hand_on(duty: Duty, alert: str, path: Path, *, by: str = "dee", to: Recipient = COURT) -> Kept:
    site = duty.site
    return export(site.vault, alert, site.signers[by], to, path, reason=Reason.COURT, text="case 17, as ordered")


def opened(duty: Duty, path: Path, key: X25519PrivateKey = KEY) -> Exported:
    """What a recipient reads who knows the organisation's public key, and nothing else of the installation."""
    envelope = msgspec.json.decode(open_with(key, path.read_bytes(), purpose=ALERT), type=Envelope)
    claimed = msgspec.json.decode(envelope.body, type=Exported)
    organisation = Organisation(name=duty.site.force.root.organisation.name, key=duty.site.force.root.organisation.key)
    certified = organisation.certificate(claimed.certificate)
    return verify(envelope, ALERT, Exported, [bytes.fromhex(certified.signing)])


def disclosures(duty: Duty) -> list[dict[str, Any]]:
    return duty.site.acts("alert_disclosed")


def expect_nothing(duty: Duty, folder: Path) -> None:
    """Neither a file, nor what was begun of one, nor an entry."""
    assert list(folder.iterdir()) == []
    assert disclosures(duty) == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "cases"
    made.mkdir()
    return made


def test_its_recipient_reads_everything_and_who_says_so(duty: Duty, folder: Path) -> None:
    alert = duty.plant()
    duty.assess(alert, Verdict.DISMISS, text="not her")
    duty.assess(alert, Verdict.ENGAGE, is_correction=True, text="her after all")
    duty.engage(alert)
    duty.close(alert)
    kept = hand_on(duty, alert[:12], folder / "case.sealed")
    found = opened(duty, folder / "case.sealed")
    assert found.kept == kept == duty.find(alert)
    assert (found.proposal.alert.id, found.proposal.alert.similarity) == (alert, 0.71)
    assert found.proposal.about == duty.site.rows[0].about
    assert found.pictures is not None
    assert found.pictures.probe == bytes([7]) * 12
    assert found.pictures.listed == duty.site.rows[0].portrait
    assert [type(one.body) for one in found.steps] == [Looked, Assessed, Looked, Assessed, Engaged, Closed]
    texts = [one.body.text for one in found.steps if isinstance(one.body, Assessed)]
    assert texts == ["not her", "her after all"]
    assert (found.state, found.deployment, found.authority) == (State.OUTCOME, 1, "EX/1")
    assert (found.disclosed_by, found.disclosed_to, found.reason) == ("person dee", "crown-court", "court")
    assert found.organisation == "Example Police"


def test_the_chain_says_who_gave_what_to_whom_and_holds_no_word_of_it(duty: Duty, folder: Path) -> None:
    alert = duty.plant()
    hand_on(duty, alert, folder / "case.sealed")
    (act,) = disclosures(duty)
    assert (act["by"], act["reason"]) == ("person dee", "court")
    assert act["facts"] == {
        "deployment": 1,
        "alert": alert,
        "recipient": "crown-court",
        "key": fingerprint_of(KEY.public_key()),
        "digest": hashlib.sha256((folder / "case.sealed").read_bytes()).hexdigest(),
    }
    assert "case 17" not in str(act)
    assert duty.site.vault.database.text(act["n"], duty.site.vault.text_key(1)) == "case 17, as ordered"
    duty.site.expect_chain()


def test_nobody_else_can_open_it_and_its_outside_names_nobody(duty: Duty, folder: Path) -> None:
    alert = duty.plant()
    path = folder / "case.sealed"
    hand_on(duty, alert, path)
    sealed = path.read_bytes()
    about = duty.site.rows[0].about
    assert header_of(sealed).about == {"alert": alert, "installation": duty.site.vault.installation.installation}
    assert not [one for one in (about.person, about.reason, about.response) if one.encode() in sealed]
    with pytest.raises(SealError):
        open_with(X25519PrivateKey.generate(), sealed)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_person_of_the_roster_opens_it_with_their_own_key(duty: Duty, folder: Path) -> None:
    eva = person_named("eva")
    to = Recipient(name="eva", sealing=eva.public.sealing)
    alert = duty.plant()
    hand_on(duty, alert, folder / "case.sealed", to=to)
    assert opened(duty, folder / "case.sealed", eva._sealing).disclosed_to == "eva"


def test_pictures_that_have_expired_are_in_no_file(duty: Duty, folder: Path) -> None:
    duty.lives_s = (20 * 3_600.0, 3_600.0)
    alert = duty.plant()
    duty.site.clocks.pass_(hours=2)
    purge(duty.site.vault)
    hand_on(duty, alert, folder / "case.sealed")
    assert opened(duty, folder / "case.sealed").pictures is None


def test_one_that_has_expired_is_handed_to_nobody(duty: Duty, folder: Path) -> None:
    duty.lives_s = (3_600.0, 3_600.0)
    alert = duty.plant()
    duty.site.clocks.pass_(hours=2)
    purge(duty.site.vault)
    with pytest.raises(RefusedError, match="it never was here, or has expired and is gone"):
        hand_on(duty, alert, folder / "case.sealed")
    expect_nothing(duty, folder)


def test_one_whose_key_alone_is_gone_is_handed_to_nobody(duty: Duty, folder: Path) -> None:
    alert = duty.plant()
    duty.site.vault.keyring.destroy(duty.find(alert).bucket.keyname)
    with pytest.raises(RefusedError, match="has expired: its key is destroyed"):
        hand_on(duty, alert, folder / "case.sealed")
    expect_nothing(duty, folder)


def test_a_file_that_is_there_is_left_as_it_is(duty: Duty, folder: Path) -> None:
    path = folder / "case.sealed"
    path.write_text("another case", encoding="utf-8")
    with pytest.raises(RefusedError, match=r"case\.sealed is there already: nothing is overwritten"):
        hand_on(duty, duty.plant(), path)
    assert path.read_text(encoding="utf-8") == "another case"
    assert disclosures(duty) == []


@pytest.mark.parametrize("by", ["ada", "ben", "cem", "fay"])
def test_who_may_not_disclose_discloses_nothing(duty: Duty, folder: Path, by: str) -> None:
    with pytest.raises(RefusedError, match="alert_disclosed"):
        hand_on(duty, duty.plant(), folder / "case.sealed", by=by)
    expect_nothing(duty, folder)


def test_while_two_people_assess_it_tells_nobody_whether_one_has(open_duty: OpenDuty, folder: Path) -> None:
    duty = open_duty(assessors=2, on_disagreement="third-person")
    alert = duty.plant()
    duty.look(alert)
    refusals = []
    for verdict in (Verdict.ENGAGE, None):
        with pytest.raises(RefusedError, match="is being assessed by 2 people") as refused:
            hand_on(duty, alert, folder / "case.sealed", by="dan")
        refusals.append(str(refused.value))
        if verdict:
            duty.assess(alert, verdict, "dee")
    assert refusals[0] == refusals[1]
    expect_nothing(duty, folder)
    duty.assess(alert, Verdict.ENGAGE, "dan")
    hand_on(duty, alert, folder / "case.sealed", by="dan")
    assert opened(duty, folder / "case.sealed").state is State.ENGAGE


def test_where_no_file_can_be_written_nothing_was_disclosed(duty: Duty, folder: Path) -> None:
    with pytest.raises(
        RefusedError, match="expected a folder that can be written to, got none such; nothing was disclosed"
    ):
        hand_on(duty, duty.plant(), folder / "none" / "case.sealed")
    expect_nothing(duty, folder)


def test_where_the_disk_is_full_it_is_owned_up_to(duty: Duty, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path, len(data))

    monkeypatch.setattr(exporting, "write_whole", full)
    with pytest.raises(
        RefusedError, match=r"No space left on device; entry \d+ of the audit says that it was disclosed"
    ):
        hand_on(duty, duty.plant(), folder / "case.sealed")
    assert list(folder.iterdir()) == []
    assert len(disclosures(duty)) == 1


def test_nothing_is_on_the_disk_before_it_is_known_who_may(duty: Duty, folder: Path) -> None:
    with pytest.raises(RefusedError, match="alert_disclosed needs the role"):
        hand_on(duty, duty.plant(), folder / "case.sealed", by="ben")
    expect_nothing(duty, folder)


def test_where_the_entry_cannot_be_written_there_is_no_file(duty: Duty, folder: Path) -> None:
    alert = duty.plant()
    duty.site.vault.database._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(AuditError, match="it may not be written"):
        hand_on(duty, alert, folder / "case.sealed")
    expect_nothing(duty, folder)


def test_where_the_entry_cannot_be_committed_there_is_no_file(duty: Duty, folder: Path) -> None:
    alert = duty.plant()
    database = duty.site.vault.database
    database._connection = NoCommit(database._connection)  # type: ignore[assignment]
    with pytest.raises(AuditError, match="the disk is full"):
        hand_on(duty, alert, folder / "case.sealed")
    expect_nothing(duty, folder)


def test_a_file_that_cannot_take_its_name_is_owned_up_to(
    duty: Duty, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert, path = duty.plant(), folder / "case.sealed"

    replace = type(path).replace

    def in_the_way(beside: Path, target: Path) -> Path:
        if target == path:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return replace(beside, target)

    monkeypatch.setattr(type(path), "replace", in_the_way)
    with pytest.raises(RefusedError, match=r"entry \d+ of the audit says that it was disclosed, and there is no file"):
        hand_on(duty, alert, path)
    assert list(folder.iterdir()) == []
    assert len(disclosures(duty)) == 1


class NoCommit:
    """A connection that commits nothing, as where the log has no room any more."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *params: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorname = "SQLITE_FULL"
            raise error
        return self._connection.execute(sql, *params)
