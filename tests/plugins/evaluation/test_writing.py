"""A report goes to disk whole or not at all, says what it must, and takes nobody's name for anything but a name."""

from __future__ import annotations

import hashlib
import os
import re
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from tests.plugins.evaluation.people import made_up

from lfr_kernel.api import Finding, PassingError
from lfr_plugins.lab.evaluation import writing
from lfr_plugins.lab.evaluation.assembly import assemble
from lfr_plugins.lab.evaluation.prose import prose
from lfr_plugins.lab.evaluation.report import Report
from lfr_plugins.lab.evaluation.screen import show
from lfr_plugins.lab.evaluation.statistics import rate
from lfr_plugins.lab.evaluation.wording import per_cent, plain, points, rate_text

if TYPE_CHECKING:
    from lfr_plugins.lab.evaluation.assembly import Evaluated

HOSTILE = "a|b<script>alert(1)</script>\n# `x` \x1b[31m&lt; ![i](http://x)"


@pytest.fixture(scope="module")
def evaluated() -> Evaluated:
    return assemble(made_up(groups={"kind": ("one", HOSTILE)}), with_choices=True)


@pytest.fixture(scope="module")
def other() -> Evaluated:
    return assemble(made_up(seed=2, listed=5, mated=5))


def contents(folder: Path) -> dict[str, bytes]:
    """Return everything in a folder, hidden files too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---- into place ----------------------------------------------------------------------------------------------------


def test_all_of_it_is_written_and_the_digest_is_what_a_profile_cites(evaluated: Evaluated, tmp_path: Path) -> None:
    digest = writing.write(evaluated, tmp_path / "new" / "report")
    found = contents(tmp_path / "new")
    assert {"report/report.json", "report/report.md", "report/report.html", "report/scores.csv"} <= found.keys()
    assert digest == hashlib.sha256(found["report/report.json"]).hexdigest()
    assert digest.encode() in found["report/report.md"]
    assert msgspec.json.decode(found["report/report.json"], type=Report) == evaluated.report
    assert found["report/report.json"] == writing.encoded(evaluated.report)
    assert not [name for name in found if ".evaluation-" in name]
    assert not [name for name in os.listdir(tmp_path / "new") if name != "report"]  # noqa: PTH208  (hidden ones, too)
    writing.write(evaluated, tmp_path / "new" / "report")
    assert contents(tmp_path / "new") == found


def test_a_second_report_takes_the_place_of_the_first_and_of_nothing_else(
    evaluated: Evaluated, other: Evaluated, tmp_path: Path
) -> None:
    (tmp_path / "fresh").mkdir()
    writing.write(other, tmp_path / "fresh" / "report")
    folder = tmp_path / "report"
    writing.write(evaluated, folder)
    (folder / "plots" / "groups_sex.svg").write_text("of an earlier report")
    (folder / "notes.txt").write_text("mine")
    (folder / "plots" / "mine.svg").write_text("mine")
    writing.write(other, folder)
    found = contents(folder)
    assert found.pop("notes.txt") == found.pop("plots/mine.svg") == b"mine"
    assert found == contents(tmp_path / "fresh" / "report")


@pytest.mark.parametrize("fails_at", range(1, 12))
def test_an_earlier_report_stays_whole_whenever_it_fails(
    evaluated: Evaluated, other: Evaluated, tmp_path: Path, fails_at: int
) -> None:
    folder = tmp_path / "report"
    writing.write(evaluated, folder)
    (folder / "plots" / "groups_sex.svg").write_text("of an earlier report")
    before, calls, replace = contents(tmp_path), [0], os.replace

    def failing(*paths: Any) -> None:
        calls[0] += 1
        if calls[0] == fails_at:
            raise OSError(28, "No space left on device")
        replace(*paths)

    told = r"cannot be written to .*report: No space left on device; free some space"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "replace", failing)
        with pytest.raises(PassingError, match=told):
            writing.write(other, folder)
    assert contents(tmp_path) == before


def test_a_full_disk_leaves_no_half_written_file_behind(
    evaluated: Evaluated, other: Evaluated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing.write(evaluated, tmp_path / "report")
    before = contents(tmp_path)

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PassingError, match="No space left on device"):
        writing.write(other, tmp_path / "report")
    assert contents(tmp_path) == before
    with pytest.raises(PassingError, match="No space left on device"):
        writing.write(other, tmp_path / "another")
    assert not [name for name in contents(tmp_path) if name.startswith("another")]


def test_a_place_that_is_no_folder_is_told(evaluated: Evaluated, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(PassingError, match="name another folder with --out"):
            writing.write(evaluated, place)


# ---- in words ------------------------------------------------------------------------------------------------------


def hostile(report: Report) -> Report:
    """Return a report with such a name wherever a name can stand."""
    finding = Finding(kind="duplicate", photo=HOSTILE, person=HOSTILE, other=HOSTILE, similarity=0.9)
    return msgspec.structs.replace(
        report,
        data=msgspec.structs.replace(report.data, name=HOSTILE, source=HOSTILE, flatters=(HOSTILE,), protocol=HOSTILE),
        people=msgspec.structs.replace(report.people, rejected={HOSTILE: 3}),
        to_look_at=(finding,),
        same_files=((HOSTILE, HOSTILE),),
    )


def test_a_name_is_a_name_in_markdown(evaluated: Evaluated) -> None:
    text = prose(hostile(evaluated.report), "0" * 64)
    assert "\x1b" not in text
    assert not re.search(r"(?<!\\)<script", text)
    assert not re.search(r"(?<!\\)!?(?<!\\)\[i(?<!\\)\]", text)
    assert "\n# `x`" not in text
    assert "a\\|b\\<script\\>" in text
    for line in text.splitlines():
        if line.startswith("| "):
            header = line
            cells = len(re.findall(r"(?<!\\)\|", line))
            assert cells >= 3, header


@given(st.text(max_size=40))
def test_plain_text_has_no_meaning_left(text: str) -> None:
    found = plain(text)
    assert "\n" not in found
    assert all(one.isprintable() for one in found)
    bare = re.sub(r"\\[\\`*_{}\[\]<>|#~&]", "", found)
    assert not set(bare) & set("\\`*_{}[]<>|#~&")


def test_rows_of_a_table_have_as_many_cells_as_its_header(evaluated: Evaluated) -> None:
    width = 0
    for line in prose(hostile(evaluated.report), "0" * 64).splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = len(re.findall(r"(?<!\\)\|", line))
        width = width or cells
        assert cells == width, line


def test_a_report_says_its_class_what_it_flatters_and_what_kind_each_figure_is(evaluated: Evaluated) -> None:
    text = prose(evaluated.report, "ab" * 32)
    assert "**Class: a benchmark: a data set.**" in text
    assert "**What this data flatters.** Nobody exists." in text
    order = [
        text.index(title) for title in ("## The threshold that may", "## Transferred", "## Descriptive", "## Groups")
    ]
    assert order == sorted(order)
    descriptive = text[order[2] : text.index("## The length")]
    assert "set no threshold by them" in descriptive
    assert "achieved" not in descriptive
    assert "achieved" in text[order[1] : order[2]]
    advice = evaluated.report.recommendation
    assert f"threshold = {advice.threshold:.3f}" in text
    assert f'digest = "{"ab" * 32}"' in text
    assert "TPIR, of people with 2 good faces or more" in text
    assert (
        "| conditions | width 100 to 100 px; highlights 200 to 200 of 255; sharpness 0.80 to 0.80 (5 % of 240 passages "
        "lie below each, 5 % above) |"
    ) in text
    unsaid = msgspec.structs.replace(evaluated.report, data=msgspec.structs.replace(evaluated.report.data, flatters=()))
    assert "take every figure for better than the street" in prose(unsaid, "")


def test_what_is_not_measurable_is_said_in_words() -> None:
    report = assemble(made_up(target=0.001), with_choices=True).report
    text = prose(report, "")
    assert (
        "**None.** For FPIR of at most 0.1 % for a list of 40: not measurable with 200 people: it would take 2995."
        in text
    )
    choices = text[text.index("## What each choice is worth") :]
    assert "| - | - | - |" in choices
    assert "0.0000" not in choices


def test_rates_come_with_interval_and_n() -> None:
    assert rate_text(rate(3, 60)) == "5 % (1.04 % to 13.9 %; 3 of 60)"
    assert rate_text(rate(0, 60)) == "0 of 60 (at most 4.87 %)"
    assert rate_text(rate(0, 0)) == "not measurable with 0 people: it would take 1"
    assert rate_text(rate(2.5, 10)).endswith("2.5 of 10)")
    assert rate_text(None) == "-"
    assert [per_cent(share) for share in (0, 0.00017, 0.005, 0.0995, 0.995, 1)] == [
        "0.0 %", "0.017 %", "0.5 %", "9.95 %", "99.5 %", "100.0 %",
    ]  # fmt: skip
    assert points(-0.0012) == "-0.12"


def shown(report: Report, folder: str = "out") -> str:
    out = StringIO()
    show(report, "0" * 64, Path(folder), Console(file=out, width=200, highlight=False))
    return out.getvalue()


def test_a_terminal_shows_the_figures_and_no_styles_of_others(evaluated: Evaluated) -> None:
    text = shown(hostile(evaluated.report), "runs [red]x[/b]")
    assert "\x1b" not in text
    assert "in runs [red]x[/b]/" in text
    assert "recommended threshold" in text
    assert "1 pairs of photographs may show one person under two names" in text
    assert "descriptive TPIR, at thresholds read" in " ".join(text.split())
    few = shown(assemble(made_up(target=0.001)).report)
    assert "no threshold to recommend: not measurable with 200 people: it would take 2995" in few
