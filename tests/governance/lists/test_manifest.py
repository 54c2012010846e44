"""A manifest is read whole or refused with every mistake; each row is judged by the rules of the pack."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

import pytest

from governance.lists.support import CELLS, NOW, cells, write_manifest
from lfr_kernel.governance.lists.entries import Entry, Verdict, new_entry_id
from lfr_kernel.governance.lists.manifest import ManifestError, entry_of, read_exclusions, read_manifest
from lfr_kernel.governance.lists.review import judge_row
from lfr_kernel.governance.rules import load_pack

if TYPE_CHECKING:
    from pathlib import Path

RULES = load_pack("uk-met").pack.rules


def judged(tmp_path: Path, **changes: str) -> Entry | list[str]:
    manifest = read_manifest(write_manifest(tmp_path / "m.csv", [{**CELLS, **changes}]))
    return entry_of(manifest.rows[0], manifest.path, RULES, NOW)


def problem(tmp_path: Path, **changes: str) -> str:
    found = judged(tmp_path, **changes)
    assert isinstance(found, list)
    assert len(found) == 1, found
    return found[0]


def test_a_row_becomes_an_entry(tmp_path: Path) -> None:
    entry = judged(tmp_path)
    assert isinstance(entry, Entry)
    assert entry.lawfully_held == "retained under section 64A"
    assert entry.taken == dt.date(2029, 12, 1)
    assert entry.expires == dt.datetime(2030, 6, 4, tzinfo=dt.UTC), "the end of the day"
    assert (entry.under_18, entry.vulnerable, entry.higher_authority) == (False, False, "")


def test_an_expiry_may_be_a_time_with_its_offset(tmp_path: Path) -> None:
    entry = judged(tmp_path, expires="2030-06-02T18:00:00+02:00")
    assert isinstance(entry, Entry)
    assert entry.expires == dt.datetime(2030, 6, 2, 16, tzinfo=dt.UTC)


def test_entry_ids_are_random_and_say_nothing() -> None:
    ids = {new_entry_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(one) == 28 and one.startswith("e-") and one[2:].isalnum() and one.islower() for one in ids)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"category": "wanted-cort"}, r"category: expected one of wanted-court, .* got 'wanted-cort' \(did you mean"),
        ({"category": "other"}, r"category: expected one of wanted-court, .*, got 'other'$"),
        ({"legal_basis": ""}, r"legal_basis: expected one of common-law, .*, got nothing"),
        ({"source": "web"}, r"source: expected one of custody, .* got 'web'"),
        ({"lawfully_held": "no"}, r"lawfully_held: expected yes and by what right, .* got 'no'"),
        ({"lawfully_held": "yes"}, r"lawfully_held: expected yes and by what right, .* got 'yes'"),
        (
            {"conviction_status": ""},
            r"conviction_status: expected one of convicted, .*, unknown \(this source needs it\), got nothing",
        ),
        ({"conviction_status": "not-applicable"}, r"\(this source needs it\), got 'not-applicable'"),
        ({"taken": "1 May"}, r"taken: expected a date such as 2030-12-31, got '1 May'"),
        ({"taken": "2030-06-03"}, r"taken: expected a date up to today, 2030-06-01, got '2030-06-03'"),
        ({"expires": "2030-05-31"}, r"expires: expected a time after now and up to 2030-06-08T12:00:00Z, 7 days"),
        ({"expires": "2030-06-08"}, r"expires: expected a time after now and up to 2030-06-08T12:00:00Z"),
        ({"expires": "2030-06-02T18:00:00"}, r"expires: expected a date, or a time with its offset"),
        (
            {"expires": "9999-12-31"},
            r"expires: expected a date, or a time with its offset",
        ),
        ({"under_18": "maybe"}, r"under_18: expected yes or no, got 'maybe'"),
        ({"vulnerable": "yes"}, r"higher_authority: expected who gave the higher authority \(.+\), got nothing"),
        ({"person": ""}, r"person: expected text of up to 200 printable characters, got nothing"),
        ({"reason": "x\x1b[2J"}, r"reason: expected text of up to 2000 printable characters"),
        ({"response": ""}, r"response: expected text"),
        (
            {"photo": "../ada.png"},
            r"photo: expected a path within .*, where the manifest lies",
        ),
        ({"photo": "a/../../ada.png"}, r"photo: expected a path within"),
        ({"photo": "/etc/passwd"}, r"photo: expected a path within"),
        ({"photo": "C:\\ada.png"}, r"photo: expected a path within"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(tmp_path: Path, changes: dict[str, str], text: str) -> None:
    assert re.search(text, problem(tmp_path, **changes))


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    found = judged(tmp_path, category="x", taken="y", under_18="z")
    assert isinstance(found, list)
    assert [one.split(":")[0] for one in found] == ["under_18", "category", "taken"]


def test_a_higher_authority_is_kept(tmp_path: Path) -> None:
    entry = judged(tmp_path, under_18="yes", higher_authority="Supt. Grey")
    assert isinstance(entry, Entry)
    assert (entry.under_18, entry.higher_authority) == (True, "Supt. Grey")


def test_a_source_that_needs_no_status_may_go_without(tmp_path: Path) -> None:
    entry = judged(tmp_path, source="police-record", conviction_status="")
    assert isinstance(entry, Entry)
    assert entry.conviction_status == "not-applicable"


def test_a_photograph_that_is_too_old_has_a_code_of_its_own(tmp_path: Path) -> None:
    manifest = read_manifest(write_manifest(tmp_path / "m.csv", [cells("ada", taken="2020-01-01")]))
    verdict = judge_row(manifest.rows[0], manifest.path, RULES, None, NOW)
    assert isinstance(verdict, Verdict)
    assert (verdict.code, verdict.line) == ("too_old", 2)
    assert verdict.text == "taken: expected 2025-06-02 or later (1825 days), got 2020-01-01"


def test_a_byte_order_mark_and_any_order_of_columns_are_fine(tmp_path: Path) -> None:
    path = write_manifest(tmp_path / "m.csv", [dict(reversed(CELLS.items()))])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_manifest(path).rows[0].cells["person"] == "ada"


def test_lines_are_those_of_the_file_when_texts_are_broken_and_rows_are_empty(tmp_path: Path) -> None:
    path = write_manifest(tmp_path / "m.csv", [cells("ada", reason="one\ntwo"), cells("bob")])
    path.write_text(path.read_text() + "\n,,,\n" + path.read_text().splitlines()[-1] + "\n", encoding="utf-8")
    assert [row.line for row in read_manifest(path).rows] == [2, 4, 7]


def test_all_wrong_columns_are_named_at_once(tmp_path: Path) -> None:
    row = {**CELLS, "persons": "x", "extra": "y"}
    del row["person"], row["taken"]
    with pytest.raises(
        ManifestError,
        match=r"unknown column 'persons' \(did you mean 'person'\?\); unknown column 'extra'; "
        r"column 'person' is missing; column 'taken' is missing. Expected the columns photo, person",
    ):
        read_manifest(write_manifest(tmp_path / "m.csv", [row]))


def test_semicolons_are_recognised(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(";".join(CELLS), encoding="utf-8")
    with pytest.raises(ManifestError, match="the cells seem to be separated by semicolons, expected commas"):
        read_manifest(tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is empty: expected the columns photo, person"),
        (",".join(CELLS).encode(), "has no row: expected one for each photograph"),
        (b"\xff\xfe", "expected UTF-8, got something else from byte 0; save it as CSV UTF-8"),
        (b'photo,"per', "line 1: expected CSV, got unexpected end of data"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "m.csv").write_bytes(content)
    with pytest.raises(ManifestError, match=text):
        read_manifest(tmp_path / "m.csv")


def test_a_manifest_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be read: No such file or directory"):
        read_manifest(tmp_path / "m.csv")


def test_a_row_with_a_cell_too_many_is_invalid(tmp_path: Path) -> None:
    path = write_manifest(tmp_path / "m.csv", [CELLS])
    path.write_text(path.read_text().rstrip() + ",more\n", encoding="utf-8")
    manifest = read_manifest(path)
    assert entry_of(manifest.rows[0], path, RULES, NOW) == [
        "expected 15 cells, got 16; a comma within a text needs quotes around it"
    ]
    verdict = judge_row(manifest.rows[0], path, RULES, None, NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.code == "invalid"


def test_who_is_excluded_is_excluded_first_however_the_reference_is_written(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("person,reason\n Ada  L ,protected witness\n", encoding="utf-8")
    exclusions = read_exclusions(tmp_path / "x.csv")
    manifest = read_manifest(write_manifest(tmp_path / "m.csv", [cells("ada l", category="nonsense"), cells("bob")]))
    first, second = (judge_row(row, manifest.path, RULES, exclusions, NOW) for row in manifest.rows)
    assert isinstance(first, Verdict)
    assert (first.code, first.text) == ("excluded", "stands on the exclusion list: protected witness")
    assert isinstance(second, Entry)


def test_an_exclusion_that_is_incomplete_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("person,reason\nada,\n", encoding="utf-8")
    with pytest.raises(ManifestError, match="line 2: expected a person and a reason, got 2 cells, 1 of them filled in"):
        read_exclusions(tmp_path / "x.csv")
    (tmp_path / "y.csv").write_text("person,why\n", encoding="utf-8")
    with pytest.raises(ManifestError, match="unknown column 'why'; column 'reason' is missing"):
        read_exclusions(tmp_path / "y.csv")
