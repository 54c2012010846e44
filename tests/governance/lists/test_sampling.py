"""Dip samples: the same rows for the same seed, and only what was drawn can be recorded."""

from __future__ import annotations

import csv
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.lists.support import INSTALLATION
from lfr_kernel.governance.lists.manifest import ManifestError
from lfr_kernel.governance.lists.sampling import (
    ANSWERS,
    Checked,
    draw,
    drawn,
    expect_drawn,
    findings_sheet,
    read_findings,
    sheet,
)

if TYPE_CHECKING:
    from pathlib import Path

    from lfr_kernel.governance.lists.file import ListFile

SEED = "0f" * 16


@given(total=st.integers(0, 300), n=st.integers(1, 60), seed=st.binary(min_size=16, max_size=16))
def test_a_sample_has_n_rows_or_all_each_once(total: int, n: int, seed: bytes) -> None:
    rows = draw(total, n, seed.hex())
    assert len(rows) == min(n, total)
    assert rows == sorted(set(rows))
    assert set(rows) <= set(range(total))
    assert draw(total, n, seed.hex()) == rows


def test_every_row_is_drawn_about_as_often() -> None:
    times = Counter(row for seed in range(2000) for row in draw(10, 3, f"{seed:032x}"))
    assert min(times.values()) > 500
    assert max(times.values()) < 700


def filled(path: Path, text: str, findings: list[str], **changes: str) -> Path:
    rows = list(csv.DictReader(text.splitlines()))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "finding": one, **changes} for row, one in zip(rows, findings, strict=True))
    return path


def test_a_sheet_that_was_filled_in_is_read(made: ListFile, tmp_path: Path) -> None:
    key = made.open_key(INSTALLATION)
    rows = drawn(made, key, 3, SEED)
    checked = read_findings(filled(tmp_path / "s.csv", sheet(rows, SEED), ["ok", "wrong-person", "skipped"]))
    expect_drawn(checked, rows)
    assert (checked.seed, checked.n) == (SEED, 2)
    assert checked.counts == {"ok": 1, "skipped": 1, "wrong-person": 1}
    assert checked.wrong == {rows[1].about.entry: "wrong-person"}


def test_rows_that_were_not_drawn_cannot_be_recorded(made: ListFile) -> None:
    rows = drawn(made, made.open_key(INSTALLATION), 2, SEED)
    with pytest.raises(ManifestError, match="not those of the 2 rows that seed 0f0f"):
        expect_drawn(Checked(seed=SEED, findings={rows[0].about.entry: "ok", "e-other": "ok"}), rows)


def test_a_sheet_that_was_filled_in_in_part_is_read_and_kept_without_anybodys_name(
    made: ListFile, tmp_path: Path
) -> None:
    rows = drawn(made, made.open_key(INSTALLATION), 3, SEED)
    checked = read_findings(filled(tmp_path / "s.csv", sheet(rows, SEED), ["wrong-person", "", "skipped"]))
    assert (checked.n, checked.unanswered) == (1, 1)
    assert checked.wrong == {rows[0].about.entry: "wrong-person"}
    kept = tmp_path / "kept.csv"
    kept.write_text(findings_sheet(checked), encoding="utf-8")
    assert read_findings(kept) == checked
    expect_drawn(checked, rows)
    found = [line.split(",") for line in kept.read_text(encoding="utf-8").splitlines()]
    assert found == [
        ["finding", "seed", "entry"],
        *([code, SEED, row.about.entry] for code, row in zip(["wrong-person", "", "skipped"], rows, strict=True)),
    ]


def test_what_is_wrong_with_a_sheet_is_said(made: ListFile, tmp_path: Path) -> None:
    text = sheet(drawn(made, made.open_key(INSTALLATION), 2, SEED), SEED)
    with pytest.raises(ManifestError, match=r"expected one of ok, wrong-person, .* got 'wrong-persn' \(did you mean"):
        read_findings(filled(tmp_path / "s.csv", text, ["ok", "wrong-persn"]))
    with pytest.raises(ManifestError, match="got ' '"):
        read_findings(filled(tmp_path / "s.csv", text, ["ok", " "]))
    with pytest.raises(ManifestError, match="expected each entry once"):
        read_findings(filled(tmp_path / "s.csv", text, ["ok", "ok"], entry="e-1"))
    (tmp_path / "s.csv").write_text("entry,finding\ne-1,ok\n", encoding="utf-8")
    with pytest.raises(ManifestError, match="filled in; seed is missing"):
        read_findings(tmp_path / "s.csv")


def test_every_answer_has_a_letter_and_a_code_of_its_own() -> None:
    assert len({code for code, _ in ANSWERS.values()}) == len(ANSWERS)
    assert all(len(letter) == 1 for letter in ANSWERS)
