"""The roll-up as a command: what it adds up, how it says so, and everything that it refuses to add."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from click.testing import CliRunner

from governance.record.records import Forces, split
from lfr_kernel.cli.errors import exit_code, text_of
from lfr_kernel.cli.rollup import rollup
from lfr_kernel.governance.alerts.handling import Titles
from lfr_kernel.governance.record.reading import RecordsError
from lfr_kernel.governance.record.statements import Calibration, Counted, SignedRecord

if TYPE_CHECKING:
    from pathlib import Path

    from governance.record.records import Van

PUBLISHED = Counted(
    seen=3_147_436,
    raised=2_077,
    truth={"false": 10, "true": 2_067},
    states={"dismissed": 300, "outcome": 1_777},
    outcomes={"arrest": 962, "no-further-action": 815},
    arrests_from_alerts=962,
    false_by_ethnicity={"black": 8, "white": 2},
)
"""What the largest force of the country published of twelve months."""


class Desk:
    """A folder of records, the key that they are verified with, and the command."""

    def __init__(self, folder: Path) -> None:
        self.forces = Forces()
        self.records = folder / "records"
        self.records.mkdir()
        self.public = self.forces.write_public(folder)
        self.van: Van = self.forces.van()

    def call(self, *options: object) -> str:
        """Roll up, and return what was printed on 80 columns."""
        result = self._called(options)
        assert result.exception is None
        return str(result.output)

    def json(self) -> dict[str, Any]:
        """Roll up as JSON."""
        found = json.loads(self.call("--format", "json"))
        assert isinstance(found, dict)
        return found

    def refused(self) -> str:
        """Return why nothing is rolled up."""
        error = self._called(()).exception
        assert isinstance(error, RecordsError), error
        assert exit_code(error) == 2
        assert str(self.records) in text_of(error)
        return text_of(error)

    def _called(self, options: tuple[object, ...]) -> Any:
        arguments = [self.records, "--root", self.public, *options]
        return CliRunner().invoke(rollup, list(map(str, arguments)), env={"COLUMNS": "80"})


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def flat(text: str) -> str:
    return " ".join(text.split())


# What it adds up


def test_the_published_figures_follow_from_203_signed_records(desk: Desk) -> None:
    desk.van.write(desk.records, split(PUBLISHED, 203))
    made = desk.json()
    assert made["deployments"] == 203
    assert msgspec.convert(made["counted"], Counted) == PUBLISHED
    per_face, per_alert = made["figures"]["false_per_face"], made["figures"]["false_per_alert"]
    assert (per_face["events"], per_face["n"]) == (10, 3_147_436)
    assert (per_alert["events"], per_alert["n"]) == (10, 2_077)
    assert f"{per_face['value']:.4%}" == "0.0003%"
    assert f"{per_alert['value']:.2%}" == "0.48%"
    assert [f"{per_alert[end]:.1%}" for end in ("low", "high")] == ["0.2%", "0.9%"]
    black = made["figures"]["groups"][0]
    assert (black["group"], black["share"]["events"], black["share"]["n"]) == ("black", 8, 10)
    assert [test["share"] for test in black["tests"] if test["p"] < 0.05] == [0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4]
    assert black["unsurprising_from"] == pytest.approx(0.4465, abs=1e-4)
    # A test of ten false alerts sees twice the rate in one case of four at best.
    assert max(test["power"] for test in black["tests"]) < 0.26


def test_a_terminal_shows_both_denominators_side_by_side_and_what_a_test_could_have_seen(desk: Desk) -> None:
    desk.van.write(desk.records, split(PUBLISHED, 203))
    lines = desk.call().splitlines()
    text = "\n".join(lines)
    assert max(map(len, lines)) <= 80
    flatly = flat(text)
    assert "203 deployments added up" in flatly
    assert "van-3: deployments 1 to 203" in flatly
    assert "10 false alerts among 3,147,436 passages are 0.00032 %" in flatly
    assert "10 false alerts among 2,077 alerts are 0.48 %" in flatly
    assert "chance leaves open rates from 0.00015 % to 0.00058 %" in flatly
    assert "chance leaves open rates from 0.23 % to 0.88 %" in flatly
    tests = text[text.index("Exact tests by ethnicity") :].splitlines()
    p_black = {cells[0]: cells[2] for line in tests if len(cells := line.split()) > 4 and cells[1] == "%"}
    assert p_black == {
        **dict.fromkeys(("10", "15", "20", "25"), "<0.001"),
        "30": "0.002",
        "35": "0.005",
        "40": "0.018",
        "45": "0.051",
        "50": "0.11",
        "55": "0.20",
        "60": "0.33",
    }
    assert re.search(r"Black +8 .*45 %", text)
    assert "962" in next(line for line in lines if "Arrests from alerts" in line)


def test_alerts_that_nobody_established_widen_what_may_have_been_false(desk: Desk) -> None:
    desk.van.write(desk.records, [Counted(seen=50_000, raised=20, truth={"true": 12, "false": 1})])
    text = flat(desk.call())
    assert "1 of 50,000 0.0020 %" in text
    assert "8 of 50,000 0.016 %" in text
    assert (
        "In the best case 1 of them was false; in the worst case 8 were" in text or "in the worst case all were" in text
    )


def test_no_false_alert_does_not_mean_never(desk: Desk) -> None:
    desk.van.write(desk.records, [Counted(seen=17_621, raised=300, truth={"true": 300})])
    text = flat(desk.call())
    assert "With 0 false alerts among 17,621 passages, the true rate may still be up to about 3 in 17,621" in text
    assert "With 0 false alerts among 300 alerts, the true rate may still be up to about 3 in 300" in text
    assert "There was no false alert, so there is nothing to compare" in text


def test_deployments_without_a_face_count_as_deployments(desk: Desk) -> None:
    for serial, ending in enumerate(("abandoned", "failed", "saw nobody", "completed"), start=1):
        record = desk.van.record(serial, ending=ending)
        opened = None if ending == "abandoned" else record.opened
        desk.van.write_one(desk.records, msgspec.structs.replace(record, opened=opened))
    made = desk.json()
    assert made["deployments"] == 4
    assert made["endings"] == {"abandoned": 1, "failed": 1, "saw nobody": 1, "completed": 1}
    assert made["starts"] == desk.van.record(1).grounds.starts
    assert made["ends"] == desk.van.record(4).ended
    assert made["figures"]["false_per_face"]["value"] is None
    ended = desk.call()
    ended = ended[ended.index("The deployments by how they ended") :]
    for ending in ("Abandoned", "Failed", "Completed"):
        assert re.search(rf"{ending}.* 1\n", ended)


def test_several_installations_are_added_each_with_its_numbers(desk: Desk) -> None:
    other = desk.forces.van("mast-1")
    desk.van.write(desk.records / "van", [Counted(seen=10)] * 3)
    other.write(desk.records / "mast", [Counted(seen=100)] * 2)
    made = desk.json()
    assert made["counted"]["seen"] == 230
    assert [(one["name"], one["first"], one["last"]) for one in made["installations"]] == [
        ("mast-1", 1, 2),
        ("van-3", 1, 3),
    ]
    assert made["notes"] == []
    assert [one["file"] for one in made["sources"]][:2] == ["mast/mast-1-0001.json", "mast/mast-1-0002.json"]


def test_what_came_before_the_first_record_is_said_to_be_missing(desk: Desk) -> None:
    desk.van.write(desk.records, [Counted(seen=10)] * 3, first=5)
    text = flat(desk.call())
    assert "from deployment 5 of van-3 on: the 4 before are not in here" in text
    assert "van-3: deployments 5 to 7" in text


@pytest.mark.parametrize(("there", "folder"), [("", "records"), ("records", "."), ("records/van", "..")])
def test_a_folder_may_be_named_from_where_one_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, there: str, folder: str
) -> None:
    desk.van.write(desk.records / "van", [Counted(seen=10)] * 2)
    monkeypatch.chdir(desk.records.parent / there)
    result = CliRunner().invoke(rollup, [folder, "--root", str(desk.public), "--format", "json"])
    assert result.exception is None
    assert [one["file"] for one in json.loads(result.output)["sources"]] == [
        "van/van-3-0001.json",
        "van/van-3-0002.json",
    ]


def test_the_mark_of_a_pack_and_the_hardest_ratio_are_those_of_all(desk: Desk) -> None:
    desk.van.write_one(desk.records, desk.van.record(1, group_ratio=3.0, mark="DEMONSTRATION: not operational"))
    desk.van.write_one(desk.records, desk.van.record(2, group_ratio=1.5))
    assert desk.json()["group_ratio"] == desk.json()["figures"]["group_ratio"] == 1.5
    assert desk.call().lstrip("! ").startswith("DEMONSTRATION: not operational")


def test_counting_by_hand_is_pooled_and_it_is_said_how_often_it_was_done(desk: Desk) -> None:
    once = (Calibration(people=100, passages=150, by="fay", how="north, 20 minutes"),)
    desk.van.write_one(desk.records, desk.van.record(1, Counted(seen=3_000), calibrations=once))
    desk.van.write_one(desk.records, desk.van.record(2, Counted(seen=6_000)))
    text = flat(desk.call())
    assert "Passages a person makes about 1.5 (95 % interval 1.3 to 1.8)" in text
    assert "People those passages were about 6,000 (95 % interval 5,100 to 7,100)" in text
    assert "People were counted by hand during 1 of them" in text


def test_a_file_takes_the_place_of_the_terminal(desk: Desk, tmp_path: Path) -> None:
    desk.van.write(desk.records, split(PUBLISHED, 2))
    out = tmp_path / "out.txt"
    assert flat(desk.call("--out", out)).startswith("wrote")
    assert "\x1b" not in out.read_text(encoding="utf-8")
    assert [line.rstrip() for line in desk.call().splitlines()] == out.read_text(encoding="utf-8").splitlines()
    assert flat(desk.call("--format", "json", "--out", out)).startswith("wrote")
    assert json.loads(out.read_bytes()) == desk.json()
    nowhere = desk._called(("--out", tmp_path / "none" / "out.txt"))
    assert nowhere.exit_code == 2
    assert "expected a file in a folder that is there" in flat(nowhere.output)


def test_names_from_elsewhere_steer_no_terminal(desk: Desk) -> None:
    titles = Titles(ethnic_groups={"black": "\x1b[31mBlack\r"})
    desk.van.write_one(desk.records, desk.van.record(1, PUBLISHED, titles=titles, mark="\x1b]0;x\x07"))
    (desk.records / "n\x1b[2J.txt").touch()
    assert "\x1b" not in desk.call()
    (desk.records / "n\x1b[2J.json").touch()
    assert "\x1b" not in desk.refused()


def test_a_code_that_two_packs_call_differently_has_both_titles(desk: Desk) -> None:
    for serial, title in ((1, "No power"), (2, "A conversation"), (3, "No power")):
        titles = Titles(powers={"none": title}, categories={"none": "Nobody"})
        desk.van.write_one(desk.records, desk.van.record(serial, PUBLISHED, titles=titles))
    titles = desk.json()["titles"]
    assert (titles["powers"], titles["categories"]) == ({"none": "No power / A conversation"}, {"none": "Nobody"})


# What it refuses


def test_a_record_that_was_changed_is_refused(desk: Desk) -> None:
    paths = desk.van.write(desk.records, [Counted(seen=1_000, raised=9, truth={"false": 7})] * 2)
    signed = msgspec.json.decode(paths[1].read_bytes(), type=SignedRecord)
    better = signed.record.body.replace(b'"false":7', b'"false":0')
    assert better != signed.record.body
    envelope = msgspec.structs.replace(signed.record, payload=base64.b64encode(better).decode())
    paths[1].write_bytes(msgspec.json.encode(msgspec.structs.replace(signed, record=envelope)))
    assert "van-3-0002.json: this deployment-record is not signed by key" in desk.refused()


def test_what_stands_beside_the_signed_record_changes_nothing(desk: Desk) -> None:
    path = desk.van.write(desk.records, [Counted(seen=1_000)])[0]
    read: dict[str, object] = {"counted": {"seen": 5}}
    signed = msgspec.structs.replace(msgspec.json.decode(path.read_bytes(), type=SignedRecord), read=read)
    path.write_bytes(msgspec.json.encode(signed))
    assert desk.json()["counted"]["seen"] == 1_000


def test_a_record_of_another_organisation_is_refused(desk: Desk) -> None:
    desk.van.write(desk.records, [Counted()])
    Forces("Other Police").van("van-9").write(desk.records, [Counted()])
    assert "van-9-0001.json: this installation-certificate is not signed by key" in desk.refused()


def test_an_installation_signs_its_own_records_only(desk: Desk) -> None:
    other = desk.forces.van("mast-1")
    signed = other.signed(desk.van.record(1))
    (desk.records / "one.json").write_bytes(msgspec.json.encode(signed))
    assert f"one.json: installation {other.installation} (mast-1) signed a record of" in desk.refused()


def test_a_certificate_from_elsewhere_makes_no_key_count(desk: Desk) -> None:
    stranger = Forces("Other Police").van("van-9")
    signed = msgspec.structs.replace(stranger.signed(desk.van.record(1)), certificate=desk.van.certificate)
    (desk.records / "one.json").write_bytes(msgspec.json.encode(signed))
    assert "one.json: this deployment-record is not signed by key" in desk.refused()


@pytest.mark.parametrize(
    ("left_out", "text"),
    [
        ([3], "the record of deployment 3 of van-3 is missing"),
        ([2, 3, 4], "the records of deployments 2 to 4 of van-3 are missing"),
    ],
)
def test_a_gap_is_refused(desk: Desk, left_out: list[int], text: str) -> None:
    paths = desk.van.write(desk.records, [Counted()] * 6)
    for serial in left_out:
        paths[serial - 1].unlink()
    assert text in desk.refused()


def test_a_deployment_that_is_there_twice_is_refused(desk: Desk) -> None:
    desk.van.write(desk.records, [Counted(seen=10)] * 2)
    desk.van.write_one(desk.records, desk.van.record(2, Counted(seen=10)), "again/copy.json")
    assert "deployment 2 of van-3 is in again/copy.json, too: expected one record of each" in desk.refused()


def test_a_record_that_can_still_change_is_refused(desk: Desk) -> None:
    desk.van.write_one(desk.records, desk.van.record(1, is_final=False))
    assert "van-3-0001.json: deployment 1 was not over, or its alerts could still change" in desk.refused()


def test_counts_that_cannot_be_are_refused(desk: Desk) -> None:
    desk.van.write(desk.records, [Counted(raised=3, truth={"true": 2, "false": 2}), Counted(lost={"dark": -4})])
    text = desk.refused()
    assert "got 3 alerts, 2 of them true and 2 false" in text
    assert "van-3-0002.json: expected counts of 0 or more, got -4" in text


def test_records_of_two_audits_are_refused(desk: Desk) -> None:
    """A vault that was set back and went on: the same entry is not the same."""
    desk.van.write_one(desk.records, desk.van.record(1, head=desk.van.head(11)))
    desk.van.write_one(desk.records, desk.van.record(2, after=desk.van.head(11, audit="two")))
    assert "van-3-0002.json: entry 11 of the audit of van-3 is" in desk.refused()
    assert "in van-3-0001.json: there were two audits" in desk.refused()


@pytest.mark.parametrize("after", [1, 37])
def test_records_that_do_not_follow_each_other_in_the_audit_are_refused(desk: Desk, after: int) -> None:
    desk.van.write_one(desk.records, desk.van.record(1))
    desk.van.write_one(desk.records, desk.van.record(2, after=desk.van.head(after)))
    text = desk.refused()
    assert f"deployment 2 follows entry {after} of the audit of van-3" in text
    assert "counted from entry 1 to 36" in text


def test_a_record_counted_before_its_deployment_is_refused(desk: Desk) -> None:
    desk.van.write_one(desk.records, desk.van.record(2, head=desk.van.head(5)))
    assert "counted up to entry 5 of the audit, which comes before the deployment (after entry 11)" in desk.refused()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1, 2]", b'{"certificate": {}}', b'"\xff"', b'{"read": ' + b"[" * 100_000, bytes(100), b'"\\ud800"'],
)
def test_a_file_that_is_no_record_is_refused(desk: Desk, content: bytes) -> None:
    desk.van.write(desk.records, [Counted()])
    (desk.records / "other.json").write_bytes(content)
    assert "other.json: expected a signed record (JSON), got something else" in desk.refused()


def test_a_file_that_leads_nowhere_is_refused(desk: Desk) -> None:
    (desk.records / "gone.json").symlink_to(desk.records / "nothing")
    assert "gone.json: expected a signed record, got: No such file or directory" in desk.refused()


def test_a_folder_without_records_is_refused(desk: Desk) -> None:
    (desk.records / "notes.txt").touch()
    (desk.records / ".van-3-0001.json.17.tmp").touch()
    (desk.records / ".van-3-0001.json").touch()
    assert "expected signed records (*.json)" in desk.refused()
    assert "found none" in desk.refused()


def test_everything_that_is_wrong_is_said_at_once(desk: Desk) -> None:
    paths = desk.van.write(desk.records, [Counted()] * 6)
    paths[1].unlink()
    paths[3].write_bytes(b"{}")
    desk.van.write_one(desk.records, desk.van.record(6, is_final=False))
    desk.van.write_one(desk.records, desk.van.record(5), "copy.json")
    Forces("Other Police").van("van-9").write(desk.records, [Counted()])
    text = desk.refused()
    assert "6 things are wrong with these records" in text
    for part in ("deployment 2 of van-3 is missing", "deployment 4 of van-3 is missing", "0004.json: expected", "copy"):
        assert part in text
    for part in ("van-3-0006.json: deployment 6 was not over", "van-9-0001.json: this installation-certificate"):
        assert part in text
