"""What people count by hand beside the system: passages and people, arrests, and how a mistake is corrected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from governance.deployment.support import look
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.record.making import arrests, calibrate, record_of
from lfr_kernel.governance.record.statements import Calibration, Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from calling import Result
    from governance.alerts.support import Duty


def record(duty: Duty) -> Record:
    return record_of(duty.site.vault, duty.serial)


def watched(duty: Duty, seen: int) -> None:
    """Let so many passages be counted, and written down by the warden."""
    duty.site.clocks.pass_(minutes=6)
    look(duty.governed, seen=seen)
    assert duty.site.deployment().seen == seen


def test_what_people_counted_by_hand_is_in_it_and_the_last_number_of_arrests(duty: Duty) -> None:
    vault, signers = duty.site.vault, duty.site.signers
    assert (record(duty).calibrations, record(duty).arrests_in_operation) == ((), None)
    watched(duty, 65)
    for people, how in ((40, "north door"), (60, "south door")):
        given = Calibration(people=people, passages=people + 5, by="whoever", how=how)
        calibrate(vault, signers["dee"], 1, given)
    arrests(vault, signers["dee"], 1, 3, "")
    arrests(vault, signers["dee"], 1, 2, "one was another operation's")
    found = record(duty)
    assert [(one.people, one.passages, one.by, one.how) for one in found.calibrations] == [
        (40, 45, "person dee", "north door"),
        (60, 65, "person dee", "south door"),
    ]
    assert found.arrests_in_operation == 2
    assert "north door" not in "".join(entry.body for entry in vault.database.entries())


def test_a_count_by_hand_has_no_more_passages_than_the_system_and_says_how_it_was_made(duty: Duty) -> None:
    vault, dee = duty.site.vault, duty.site.signers["dee"]
    watched(duty, 65)
    given = Calibration(people=50, passages=66, by="", how="north door")
    with pytest.raises(RefusedError, match="expected at most 65 passages, as many as the system has"):
        calibrate(vault, dee, 1, given)
    with pytest.raises(RefusedError, match="expected where, how and for how long people were counted"):
        calibrate(vault, dee, 1, structs.replace(given, passages=65, how=" \n"))
    assert duty.site.acts("people_counted") == []
    calibrate(vault, dee, 1, structs.replace(given, passages=65))
    assert [one.passages for one in record(duty).calibrations] == [65]


def test_a_count_by_hand_that_replaces_takes_the_place_of_all_before_it(duty: Duty) -> None:
    vault, signers = duty.site.vault, duty.site.signers
    watched(duty, 90)
    given = Calibration(people=10, passages=12, by="", how="north door")
    with pytest.raises(RefusedError, match="nobody has counted people by hand in deployment 1"):
        calibrate(vault, signers["dee"], 1, given, is_correction=True)
    for passages, is_correction in ((80, False), (81, False), (13, True), (14, True), (15, False)):
        how = f"north door, {passages}"
        given = structs.replace(given, passages=passages, how=how)
        calibrate(vault, signers["dee"], 1, given, is_correction=is_correction)
    assert [(one.passages, one.how) for one in record(duty).calibrations] == [
        (14, "north door, 14"),
        (15, "north door, 15"),
    ]
    assert len(duty.site.acts("people_counted")) == 5
    duty.site.expect_chain()


def test_a_command_replaces_them(duty: Duty, lfr: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lfr_kernel.cli.asking.read_clocks", duty.site.clocks)
    watched(duty, 90)
    for people, options in ((1, ()), (40, ("--replaces",)), (5, ())):
        given = ("--people", people, "--passages", 50, "--how", "by eye", "--as", "dee", *options)
        result = lfr("record", "calibrate", 1, *given, "--vault", duty.site.vault.folder)
        assert (result.code, result.err) == (0, "")
    assert [one.people for one in record(duty).calibrations] == [40, 5]
