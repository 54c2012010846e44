"""The last clock: authority and free texts go, their key first, and the signed record stays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from governance.alerts.remains import left_of, slices
from governance.canaries import text
from governance.deployment.support import NOTHING_SEEN, set_clock
from governance.record.records import Forces
from lfr_kernel.governance.alerts.vocabulary import Verdict
from lfr_kernel.governance.deployment.clockwork import confirm_clock
from lfr_kernel.governance.deployment.register import document_of, end
from lfr_kernel.governance.deployment.settling import settle_all
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.keys.signing import verify
from lfr_kernel.governance.record.making import calibrate, finalise, record_of, signed_record
from lfr_kernel.governance.record.statements import RECORD, Calibration, Record
from lfr_kernel.governance.retention import retain, status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from calling import Result
    from governance.alerts.support import Duty, OpenDuty
    from governance.deployment.support import Site

DAY_S = 86_400
TEXT_OF = "SELECT sealed FROM texts JOIN entries ON number = entry WHERE act = ?"
GONE = "the authority and all free texts of deployment 1 are gone: their key was destroyed when their time had come"


def closed(duty: Duty) -> None:
    """End the deployment, with words."""
    end(duty.site.vault, 1, signer=duty.site.signers["dee"], why="closed", text="Zoë fell ill")
    duty.governed.begin_end("closed", NOTHING_SEEN)
    duty.governed.finish()
    duty.site.crash(duty.governed)


def calibrated(duty: Duty) -> None:
    given = Calibration(people=40, passages=0, by="", how="north door")
    calibrate(duty.site.vault, duty.site.signers["dee"], 1, given)


def names_of_texts(duty: Duty) -> list[str]:
    return [name for name in duty.site.vault.keyring.names() if name.startswith("text-") and name[5:].isdecimal()]


@pytest.fixture
def over(duty: Duty) -> Duty:
    """Return a deployment that ended at noon, with an alert and words of several people."""
    alert = duty.plant()
    duty.assess(alert, Verdict.DISMISS, text="not him")
    calibrated(duty)
    closed(duty)
    return duty


def test_texts_go_at_their_time_after_the_end_and_not_a_moment_earlier(over: Duty) -> None:
    vault, clocks = over.site.vault, over.site.clocks
    ((words,),) = vault.database.query(TEXT_OF, ("people_counted",))
    ((document,),) = vault.database.query("SELECT document FROM deployments")
    needles = {"key": [vault.keyring.get("text-1")], "words": slices(words), "document": slices(document)}
    clocks.pass_(days=364, hours=23, minutes=59)
    assert [one.kind for one in retain(vault)] == ["evidence", "alert"]
    assert left_of(vault.folder, needles) == needles.keys()
    assert document_of(vault, over.site.deployment()).id == "EX/1"
    clocks.pass_(minutes=1)
    (purged,) = retain(vault)
    assert (purged.kind, purged.deployment, purged.count) == ("text", 1, 1)
    assert left_of(vault.folder, needles | {"said": text("Zoë fell ill")}) == set()
    assert names_of_texts(over) == []
    (act,) = over.site.acts("texts_purged")
    assert act["facts"] == {"deployment": 1, "log_emptied": True}
    assert status(vault).deployments == ()
    over.site.expect_chain()


def test_the_record_is_signed_before_and_stays(over: Duty) -> None:
    vault = over.site.vault
    over.site.clocks.pass_(days=365)
    retain(vault)
    assert [one["act"] for one in over.site.acts("record_signed", "texts_purged")] == ["record_signed", "texts_purged"]
    signed = signed_record(vault, 1)
    assert signed is not None
    found = verify(signed, RECORD, Record, [vault.signer.public])
    assert (found.is_final, found.grounds.purpose) == (True, "To find people wanted by the courts")
    assert (found.counted.raised, found.counted.states) == (1, {"dismissed": 1})
    assert [one.how for one in found.calibrations] == ["north door"]
    assert finalise(vault, 1) == signed
    with pytest.raises(RefusedError, match="was deleted when its time had come: of it there is the signed record"):
        record_of(vault, 1)


def test_a_record_that_was_made_final_before_is_the_one_that_stays(over: Duty) -> None:
    vault = over.site.vault
    over.site.clocks.pass_(days=32)
    retain(vault)
    signed = finalise(vault, 1)
    over.site.clocks.pass_(days=365)
    retain(vault)
    assert signed_record(vault, 1) == signed
    assert len(over.site.acts("record_signed")) == 1


def test_whoever_has_the_record_reads_and_adds_it_after_that(
    over: Duty, lfr: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("lfr_kernel.cli.asking.read_clocks", over.site.clocks)
    over.site.clocks.pass_(days=365)
    root = Forces().write_public(tmp_path)
    root.write_text(json.dumps({"name": "Example Police", "key": over.site.force.root.organisation.key}))
    (tmp_path / "records").mkdir()
    file = tmp_path / "records" / "1.json"
    at_vault = ("--vault", over.site.vault.folder)
    shown = lfr("record", 1, *at_vault, "--format", "md")
    assert (shown.code, shown.err) == (0, "")
    assert "To find people wanted by the courts" in shown.out
    assert names_of_texts(over) == []
    assert lfr("record", 1, *at_vault, "--format", "json", "--out", file).code == 0
    verified = lfr("record", "verify", file, "--root", root)
    assert (verified.code, "final" in verified.out, verified.err) == (0, True, "")
    added = lfr("record", "rollup", tmp_path / "records", "--root", root, "--format", "json")
    assert (added.code, added.err) == (0, "")
    assert added.json["counted"]["raised"] == 1


@pytest.mark.parametrize(
    "command",
    [
        ["authority", "show", 1],
        ["notice", "--deployment", 1],
        ["record", "calibrate", 1, "--people", 4, "--passages", 5, "--how", "by eye", "--as", "dee"],
        ["record", "arrests", 1, "--number", 4, "--how", "by ear", "--as", "dee"],
    ],
)
def test_nothing_makes_their_key_anew(
    open_duty: OpenDuty, lfr: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, command: list[object]
) -> None:
    duty = open_duty(text_days=2)
    closed(duty)
    monkeypatch.setattr("lfr_kernel.cli.asking.read_clocks", duty.site.clocks)
    duty.site.clocks.pass_(days=2)
    result = lfr(*command, "--vault", duty.site.vault.folder)
    assert (result.code, result.out) == (2, "")
    expected = "is final: nothing is added to it" if command[0] == "record" else GONE
    assert expected in " ".join(result.err.split())
    assert names_of_texts(duty) == []
    assert duty.site.acts("arrests_counted", "people_counted") == []


def test_texts_of_a_deployment_that_is_not_closed_stay(duty: Duty) -> None:
    duty.site.clocks.pass_(days=366)
    assert retain(duty.site.vault) == []
    assert names_of_texts(duty) == ["text-1"]


def test_a_clock_set_forward_that_nobody_vouches_for_destroys_no_text(open_duty: OpenDuty) -> None:
    duty = open_duty(text_days=2)
    vault = duty.site.vault
    closed(duty)
    set_clock(duty.site.clocks, wall_s=3 * DAY_S, boot_s=60)
    assert retain(vault) == []
    assert status(vault).is_held
    assert names_of_texts(duty) == ["text-1"]
    assert signed_record(vault, 1) is None
    confirm_clock(vault, duty.site.signers["eva"])
    assert [one.kind for one in retain(vault)] == ["text"]


def test_texts_of_what_was_never_opened_go_too_and_its_record_stays(site: Site) -> None:
    site.authorise()
    end(site.vault, 1, signer=site.signers["dee"], why="revoked", text="rain")
    settle_all(site.vault)
    site.clocks.pass_(days=365)
    assert [one.kind for one in retain(site.vault)] == ["text"]
    assert signed_record(site.vault, 1) is not None
    assert not site.vault.keyring.has("text-1")


def test_no_alert_outlives_the_texts_of_the_authority_that_it_was_raised_under(open_duty: OpenDuty) -> None:
    duty = open_duty(text_days=2)
    duty.site.clocks.pass_(minutes=59)
    alert = duty.plant()
    ended_ns = duty.site.clocks.now.utc_ns
    closed(duty)
    assert duty.find(alert).expires_s * 10**9 <= ended_ns + 2 * DAY_S * 10**9
    duty.site.clocks.pass_(days=2)
    assert [one.kind for one in retain(duty.site.vault)] == ["evidence", "alert", "text"]
    assert signed_record(duty.site.vault, 1) is not None


def test_texts_wait_for_an_alert_that_a_clock_let_live_longer_so_that_it_is_counted(open_duty: OpenDuty) -> None:
    duty = open_duty(text_days=2)
    alert = duty.plant(alerted_at_ns=duty.site.clocks.now.utc_ns + 3 * DAY_S * 10**9)
    closed(duty)
    duty.site.clocks.pass_(days=3)
    assert [one.kind for one in retain(duty.site.vault)] == []
    assert duty.find(alert).id == alert
    duty.site.clocks.pass_(days=2)
    assert [one.kind for one in retain(duty.site.vault)] == ["evidence", "alert", "text"]
    assert signed_record(duty.site.vault, 1) is not None


def test_a_record_that_cannot_be_made_keeps_no_text_alive(over: Duty) -> None:
    vault = over.site.vault
    with vault.database.transaction() as transaction:
        transaction.execute("DELETE FROM alerts")
    over.site.clocks.pass_(days=365)
    assert [one.kind for one in retain(vault)] == ["text"]
    assert signed_record(vault, 1) is None
    assert names_of_texts(over) == []
    assert retain(vault) == []


def test_a_record_that_was_damaged_keeps_no_text_alive_nor_anything_else(over: Duty) -> None:
    vault = over.site.vault
    retain(vault)
    over.site.clocks.pass_(days=40)
    retain(vault)
    finalise(vault, 1)
    with vault.database.transaction() as transaction:
        transaction.execute("UPDATE records SET body = json_set(body, '$.signatures', json('[]'))")
    over.site.clocks.pass_(days=365)
    assert [one.kind for one in retain(vault)] == ["text"]
    assert names_of_texts(over) == []
    assert retain(vault) == []


def test_a_key_that_others_can_read_goes_all_the_same(over: Duty) -> None:
    vault = over.site.vault
    over.site.clocks.pass_(days=400)
    (vault.keyring.folder / "text-1.key").chmod(0o644)
    assert "text" in [one.kind for one in retain(vault)]
    assert names_of_texts(over) == []


def test_a_key_that_somebody_took_away_is_not_made_anew(over: Duty) -> None:
    vault = over.site.vault
    over.site.clocks.pass_(days=32)
    retain(vault)
    (vault.keyring.folder / "text-1.key").unlink()
    vault.text_key(2)  # of another deployment, which is being authorised
    with pytest.raises(RefusedError, match=GONE):
        document_of(vault, over.site.deployment())
    with pytest.raises(RefusedError, match=GONE):
        calibrated(over)
    assert names_of_texts(over) == ["text-2"]
    over.site.clocks.pass_(days=334)
    assert [one.kind for one in retain(vault)] == ["text"]
    assert vault.database.query("SELECT document FROM deployments") == [(None,)]


def test_every_deployment_has_its_own(site: Site, open_duty: OpenDuty) -> None:
    first = open_duty()
    closed(first)
    site.path.unlink(missing_ok=True)
    site.clocks.pass_(minutes=20)
    site.authorise(site.plan(list=site.folder / "second.lfrlist"), id="EX/2")
    end(site.vault, 2, signer=site.signers["dee"], why="revoked", text="rain")
    settle_all(site.vault)
    site.clocks.pass_(days=364, hours=23, minutes=50)
    assert [(one.kind, one.deployment) for one in retain(site.vault)] == [("text", 1)]
    assert names_of_texts(first) == ["text-2"]
    ((words,),) = site.vault.database.query("SELECT count(*) FROM texts JOIN entries ON number = entry "
                                            "WHERE json_extract(body, '$.facts.deployment') = 2")  # fmt: skip
    assert words == 1
