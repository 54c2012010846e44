"""The commands of a change of threshold: what they print, and what they refuse."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from governance.deployment.support import COVERS, CURVE
from governance.deployment.test_commands import PROFILE, Office, office

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["office"]  # a fixture
HISTOGRAM = {
    "looks": COVERS.looks,
    "edges": [0.2, 0.65, 0.72, 1.0],
    "mated": [10, 5, 34],
    "nonmated": [980, 15, 5],
    "unsearched_mated": 1,
    "unsearched_nonmated": 0,
}
CHANGE = ("--reason", "false-alerts", "--text", "three within the hour")


@pytest.fixture
def cited(office: Office) -> Office:
    """An office whose profile cites a report, with everything signed."""
    report = office.folder / "report.json"
    described = [{"looks": None, "curve": CURVE}, {"looks": COVERS.looks, "curve": CURVE}]
    report.write_bytes(
        msgspec.json.encode(
            {"covers": COVERS, "descriptive": described, "histogram": HISTOGRAM, "people": {"listed": 21}}
        )
    )
    digest = hashlib.sha256(report.read_bytes()).hexdigest()
    text = PROFILE.replace("VAULT", str(office.vault.folder)).replace("FOLDER", str(office.folder))
    office.profile.write_text(f"{text}[basis]\nreport = '{report}'\ndigest = '{digest}'\n", encoding="utf-8")
    office.sign()
    return office


def propose(office: Office, value: float = 0.7, name: str = "ada", change: Sequence[object] = CHANGE) -> str:
    return office.ok("threshold", "propose", 1, value, "--profile", office.profile, *change, "--as", name)


def confirm(office: Office, *more: object, name: str = "eva") -> str:
    return office.ok("threshold", "confirm", 1, *office.at_vault, *more, "--as", name)


def show(office: Office) -> str:
    return office.ok("threshold", "show", 1, *office.at_vault)


def test_proposal_and_confirmation_say_before_and_after(cited: Office) -> None:
    said = propose(cited)
    (entry,) = (one["n"] for one in cited.acts("threshold_proposed"))
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert lines[0] == f"proposed in entry {entry}: deployment 1, threshold 0.64 to 0.7, reason false-alerts"
    assert lines[1:8] == [
        "before, 0.64 after, 0.7",
        "FPIR 2.000% (1.226% to 3.072%) 0.500% (0.163% to 1.163%)",
        "20 of 1000 people 5 of 1000 people",
        "at 0.6",
        "FNIR 22.000% (11.527% to 35.961%) 30.000% (17.862% to 44.608%)",
        "11 of 50 people 15 of 50 people",
        "at 0.65",
    ]
    assert lines[8].startswith(
        "the report has no figure for 0.64 itself: FPIR is at the nearest tested threshold below"
    )
    assert lines[9].endswith("4 faces a passage, a list of 21; intervals of 95 %, Clopper and Pearson")
    assert lines[-1] == f"nothing has changed yet: lfr-kernel threshold confirm 1 --proposal {entry} --as ANOTHER"
    again = [" ".join(line.split()) for line in confirm(cited, "--proposal", entry).splitlines()]
    assert again[0].startswith("confirmed in entry ")
    assert again[1:10] == lines[1:10]


def test_it_is_shown_what_waits_what_is_in_force_and_since_when(cited: Office) -> None:
    assert show(cited) == "in force: the profile's: no kernel has run yet\n"
    propose(cited)
    assert "by ada (authoriser): threshold 0.64 to 0.7, reason false-alerts" in show(cited)
    confirm(cited)
    shown = show(cited)
    assert "waits" not in shown
    assert "2030-06-01 12:00:00Z: 0.64 to 0.7, reason false-alerts, by authoriser ada and data-protection eva" in shown
    assert "no kernel has run with it" in shown
    cited.run()
    assert "in a kernel since 2030-06-01 12:00:00Z" in show(cited)


def test_what_is_shown_is_json_for_a_program(cited: Office) -> None:
    propose(cited)
    confirm(cited)
    propose(cited, 0.8, "eva")
    found = json.loads(cited.ok("threshold", "show", 1, *cited.at_vault, "--json"))
    assert (found["deployment"], found["threshold"]) == (1, 0.7)
    (change,) = found["changes"]
    assert change["by"] == ["authoriser ada", "data-protection eva"]
    assert (change["was"], change["in_force_at"], change["at"][:16]) == (0.64, None, "2030-06-01T12:00")
    assert (found["waiting"]["by"], found["waiting"]["change"]["threshold"]) == ("eva", 0.8)


def test_without_a_report_it_is_said_that_there_are_no_figures(office: Office) -> None:
    office.sign()
    said = propose(office)
    assert said.count("not in the report") == 4
    assert said.count("no evaluation report is cited") == 2


def test_the_commands_refuse_what_may_not_be(cited: Office) -> None:
    at = ("--profile", cited.profile)
    assert "no change of threshold is proposed" in cited.refused(
        "threshold", "confirm", 1, *cited.at_vault, "--as", "eva"
    )
    said = cited.refused("threshold", "propose", 1, 0.3, *at, *CHANGE, "--as", "ada")
    assert "threshold 0.3: 2 reasons expected 0.5 at least (min_threshold of pack demo)" in said
    propose(cited)
    said = cited.refused("threshold", "confirm", 1, *cited.at_vault, "--as", "ada")
    assert "it takes two people, and ada proposed it" in said
    said = cited.refused("threshold", "propose", 1, 0.7, *at, *CHANGE, "--as", "dee")
    assert "threshold_proposed needs the role authoriser or data-protection, and dee is operator" in said
    assert "there is no deployment 9" in cited.refused("threshold", "show", 9, *cited.at_vault)
    assert "not one of" in cited.refused("threshold", "propose", 1, 0.7, *at, "--reason", "mood", "--as", "ada")


def test_a_report_that_was_changed_since_is_refused(cited: Office) -> None:
    report = cited.folder / "report.json"
    report.write_bytes(report.read_bytes() + b" ")
    said = cited.refused("threshold", "propose", 1, 0.7, "--profile", cited.profile, *CHANGE, "--as", "ada")
    assert "which [basis] cites, got" in said


def test_a_report_whose_curve_is_none_is_refused(cited: Office) -> None:
    report = cited.folder / "report.json"
    was = hashlib.sha256(report.read_bytes()).hexdigest()
    report.write_bytes(report.read_bytes().replace(b"[0.5,0.6,0.7,0.8]", b"[0.5,0.6,0.6,0.8]"))
    digest = hashlib.sha256(report.read_bytes()).hexdigest()
    cited.profile.write_text(cited.profile.read_text(encoding="utf-8").replace(was, digest), encoding="utf-8")
    said = cited.refused("threshold", "propose", 1, 0.7, "--profile", cited.profile, *CHANGE, "--as", "ada")
    assert "expected a curve of rising thresholds, each with its FPIR and TPIR" in said
