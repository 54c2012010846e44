"""`lfr-kernel evaluate` from end to end, with the real models on a part of a real evaluation set."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.conftest import ROOT

from lfr_kernel.cli import main
from lfr_plugins.lab.evaluation import command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

LISTED, NONMATED = 24, 60
HOSTILE = "a|b<script>"
ABOUT = 'name = "Some of LFW"\nflatters = ["Public figures, sharp and lit."]\nsource = "LFW"\ngroups = "by initial"\n'
FACES = ROOT.parent / "shared" / "faces"


class Result(NamedTuple):
    code: int
    out: bytes
    err: str


def call(*arguments: object) -> Result:
    """Call the command line in this process, and keep what it writes byte for byte."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main([str(one) for one in arguments])
    out.flush()
    assert isinstance(out.buffer, io.BytesIO)
    code = ended.value.code
    return Result(code if isinstance(code, int) else 0, out.buffer.getvalue(), " ".join(err.getvalue().split()))


Line = tuple[str, str, str, str]
"""path, identity, role, group_initial."""


def write(folder: Path, lines: Sequence[Line]) -> Path:
    """Write a protocol, and what is to be known of its data beside it."""
    folder.mkdir(exist_ok=True)
    with (folder / "protocol.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "identity", "role", "group_initial"))
        writer.writerows(lines)
    (folder / "about.toml").write_text(ABOUT)
    return folder / "protocol.csv"


@pytest.fixture(scope="session")
def lines() -> list[Line]:
    """Return the lines of a small protocol into LFW: as many mated people as listed, and some non-mated ones."""
    if not (FACES / "lfw-protocol.csv").exists():
        pytest.skip("needs faces/lfw-protocol.csv from the shared folder beside the checkout")
    with (FACES / "lfw-protocol.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    people = {role: list(dict.fromkeys(row["identity"] for row in rows if row["role"] == role))
              for role in ("watchlist", "nonmated")}  # fmt: skip
    chosen = {*people["watchlist"][:LISTED], *people["nonmated"][:NONMATED]}
    seen: dict[tuple[str, str], int] = {}
    kept: list[Line] = []
    for row in rows:
        key = (row["identity"], row["role"])
        seen[key] = seen.get(key, 0) + 1
        if row["identity"] in chosen and seen[key] <= (2 if row["role"] == "mated" else 1):
            initial = "A to C" if row["identity"][0] in "ABC" else "D to Z"
            kept.append((str(FACES / "lfw" / row["path"]), row["identity"], row["role"], initial))
    return kept


class Ran(NamedTuple):
    """A finished evaluation, and what it can be repeated from."""

    protocol: Path
    about: Path
    cache: Path
    out: Path
    result: Result

    @property
    def report(self) -> Any:
        return json.loads((self.out / "report.json").read_bytes())


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory, lines: list[Line]) -> Ran:
    folder = tmp_path_factory.mktemp("evaluate")
    protocol = write(folder, lines)
    about, cache, out = folder / "about.toml", folder / "seen.sqlite", folder / "out"
    result = call(
        "evaluate", protocol, "--about", about, "--cache", cache, "--out", out, "--target", 0.05, "--json"
    )  # fmt: skip
    return Ran(protocol, about, cache, out, result)


@pytest.fixture
def again(ran: Ran, tmp_path: Path) -> Callable[..., Result]:
    """Return a function that evaluates other lines or otherwise, from what is remembered; into tmp_path/out."""

    def evaluate(*options: object, lines: Sequence[Line] | None = None) -> Result:
        protocol = ran.protocol if lines is None else write(tmp_path / "other", lines)
        return call("evaluate", protocol, "--cache", ran.cache, "--out", tmp_path / "out", "--target", 0.05, *options)

    return evaluate


def test_it_writes_a_report_and_prints_the_very_same_json(ran: Ran) -> None:
    assert ran.result.code == 0, ran.result.err
    content = (ran.out / "report.json").read_bytes()
    assert ran.result.out == content
    digest = hashlib.sha256(content).hexdigest()
    assert f"SHA-256 of report.json: {digest}" in ran.result.err
    assert {"report.json", "report.md", "report.html", "scores.csv", "plots"} == {one.name for one in ran.out.iterdir()}
    text = (ran.out / "report.md").read_text()
    assert digest in text
    assert "**Class: a benchmark: a data set.**" in text
    assert "Public figures, sharp and lit." in text
    for picture in set(text.split("(plots/")[1:]):
        assert (ran.out / "plots" / picture.partition(")")[0]).is_file()


def test_its_figures_are_of_everybody(ran: Ran) -> None:
    report = ran.report
    assert (report["people"]["mated"], report["people"]["nonmated"]) == (LISTED, NONMATED)
    assert report["people"]["offered"] == LISTED
    assert report["recommendation"]["threshold"] is not None
    assert report["recommendation"]["fpir"]["n"] == NONMATED
    assert report["covers"]["threshold"] == report["recommendation"]["threshold"]
    assert report["covers"]["listed"] == report["people"]["listed"]
    conditions = report["covers"]["conditions"]
    assert conditions["passages"] == LISTED + NONMATED
    assert 40 < conditions["face_px"]["p5"] < conditions["face_px"]["p95"] < 250
    assert 90 < conditions["highlight"]["p5"] < conditions["highlight"]["p95"] < 255
    assert 0.2 < conditions["sharpness"]["p5"] < conditions["sharpness"]["p95"] < 1
    assert [one["group"] for one in report["groups"]] == ["initial"]
    assert report["groups"][0]["known"] == "by initial"
    assert report["descriptive"][0]["rank_one"]["value"] >= 0.9
    with (ran.out / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == LISTED + NONMATED


def test_two_runs_without_a_memory_give_the_same_bytes_in_another_process_too(ran: Ran, tmp_path: Path) -> None:
    options = ("--about", ran.about, "--no-cache", "--out", tmp_path, "--target", "0.05", "--json")
    finished = subprocess.run(  # noqa: S603  (this interpreter, and the test's own arguments)
        [sys.executable, "-c", "from lfr_kernel.cli import script; script()", "evaluate", ran.protocol, *options],
        capture_output=True,
        check=True,
        timeout=120,
        env={**os.environ, "PYTHONHASHSEED": "77"},
    )
    assert finished.stdout == ran.result.out
    assert (tmp_path / "scores.csv").read_bytes() == (ran.out / "scores.csv").read_bytes()


def test_what_was_seen_is_not_looked_at_again(
    ran: Ran, again: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(path: Path, _reader: Any) -> Any:
        pytest.fail(f"{path} was read again")

    monkeypatch.setattr(command, "read_photograph", never)
    result = again("--about", ran.about, "--json")
    assert (result.code, result.out) == (0, ran.result.out)


def test_a_target_that_so_few_cannot_show_says_how_many_it_takes(again: Callable[..., Result], tmp_path: Path) -> None:
    result = again("--target", 0.001)
    assert result.code == 0
    words = f"not measurable with {NONMATED} people: it would take 2995"
    assert words in " ".join(result.out.decode().split())
    assert words in (tmp_path / "out" / "report.md").read_text()
    assert json.loads((tmp_path / "out" / "report.json").read_bytes())["covers"]["threshold"] is None


def test_a_threshold_for_a_short_list_covers_a_short_list(again: Callable[..., Result], tmp_path: Path) -> None:
    assert again("--list-size", 6).code == 0
    short = json.loads((tmp_path / "out" / "report.json").read_bytes())
    assert short["covers"]["listed"] == 6
    assert again("--list-size", 100).code == 0
    long = json.loads((tmp_path / "out" / "report.json").read_bytes())
    assert long["covers"]["threshold"] is None
    assert "more than 1.1 times the tested one" in long["recommendation"]["note"]


def test_one_picture_under_two_names_is_found_by_file_and_by_template_and_kept(
    again: Callable[..., Result], lines: list[Line], tmp_path: Path
) -> None:
    (path, *_) = next(line for line in lines if line[2] == "watchlist")
    copy = tmp_path / "copy.jpg"
    shutil.copy(path, copy)
    result = again("--json", lines=[*lines, (str(copy), HOSTILE, "nonmated", "A to C")])
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert [path, str(copy)] in report["same_files"]
    assert any({one["photo"], one["other"]} == {path, str(copy)} for one in report["to_look_at"])
    assert report["people"]["nonmated"] == NONMATED + 1
    assert report["recommendation"]["threshold"] is None, "a stranger with a listed person's picture, among so few"
    text = (tmp_path / "out" / "report.md").read_text()
    page = (tmp_path / "out" / "report.html").read_text()
    assert HOSTILE in (tmp_path / "out" / "scores.csv").read_text()
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert "b<script>" not in page


def test_a_picture_that_cannot_be_read_is_named(
    again: Callable[..., Result], lines: list[Line], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 no picture")
    result = again(lines=[*lines, (str(broken), "eve", "nonmated", "D to Z")])
    assert result.code == 1
    assert f"1 of {len(lines) + 1} photographs cannot be read" in result.err
    assert "broken.jpg" in result.err
    assert not (tmp_path / "out").exists()


def test_mistakes_in_what_was_asked_for_end_with_2(
    ran: Ran, again: Callable[..., Result], lines: list[Line], tmp_path: Path
) -> None:
    result = again(lines=[*lines, ("gone.jpg", "eve", "nonmated", "x"), ("", "eve", "stranger", "x")])
    assert result.code == 2
    assert "3 mistakes" in result.err
    assert f"line {len(lines) + 2}: no file" in result.err
    for options, told in (
        ((), "name a protocol"),
        ((tmp_path / "none.csv",), "cannot be read: No such file"),
        ((ran.protocol, "--about", tmp_path / "none.toml"), "cannot be read: No such file"),
        ((ran.protocol, "--for", tmp_path / "none.toml"), "none.toml"),
        ((ran.protocol, "--target", 0.9), "--target"),
        ((ran.protocol, "--cache", ran.cache, "--target", 0.05, "--against", tmp_path), "expected the scores.csv"),
    ):
        result = call("evaluate", *options, "--out", tmp_path / "out")
        assert result.code == 2, (options, result)
        assert told in result.err
    assert not (tmp_path / "out").exists()


def test_against_itself_nothing_differs(ran: Ran, again: Callable[..., Result], tmp_path: Path) -> None:
    assert again("--against", ran.out, "--about", ran.about).code == 0
    found = json.loads((tmp_path / "out" / "report.json").read_bytes())["comparison"]
    assert found["other_report"] == hashlib.sha256(ran.result.out).hexdigest()
    assert found["differing"] == {}
    assert {one["difference"] for one in (*found["all_faces"], *found["first_face"])} <= {0.0, None}


def test_an_earlier_report_stays_whole_when_the_disk_is_full(
    again: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert again().code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}

    def full(*_paths: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    result = again("--target", 0.1)
    assert result.code == 1
    assert "cannot be written" in result.err
    assert "No space left on device; free some space" in result.err
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_looked_at(
    again: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = tmp_path / "a-file"
    taken.touch()

    def never(*_: object, **__: object) -> None:
        raise AssertionError("photographs were looked at")

    monkeypatch.setattr(command, "observe", never)
    result = again("--out", taken)
    assert result.code == 1
    assert f"the report cannot be written to {taken}" in result.err


def test_a_memory_that_is_none_is_told(ran: Ran, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear all, " * 100)
    result = call("evaluate", ran.protocol, "--cache", tmp_path / "letter.txt", "--out", tmp_path / "out")
    assert result.code == 1
    assert "letter.txt cannot be used: file is not a database" in result.err


def test_a_profile_says_what_is_evaluated_and_can_cite_what_was_found(
    ran: Ran, lines: list[Line], tmp_path: Path
) -> None:
    photographs = tmp_path / "listed"
    photographs.mkdir()
    for path, identity, role, _ in lines:
        if role == "watchlist" and len(list(photographs.iterdir())) < 5:
            shutil.copy(path, photographs / f"{identity}.jpg")
    profile = tmp_path / "gate.toml"
    body = f"""name = "gate"\npermit = "demo"\n[[cameras]]\nname = "gate"\noptions = {{ url = "{ROOT}/none.mp4" }}
[tracker.options]\nmax_probes = 1\n[watchlist]\nimages = "{photographs}"\n"""
    basis = f'[basis]\nprotocol = "{ran.protocol}"\ntarget_fpir = 0.05\n'
    profile.write_text(body + basis)
    result = call("evaluate", "--for", profile, "--cache", ran.cache, "--out", tmp_path / "out", "--json")
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert (report["recommendation"]["listed"], report["covers"]["listed"]) == (5, 5)
    assert report["covers"]["looks"] == 1
    cited = f'report = "{tmp_path}/out/report.json"\ndigest = "{hashlib.sha256(result.out).hexdigest()}"\n'
    threshold = f"threshold = {report['covers']['threshold']}\n"
    profile.write_text(body + threshold + basis + cited)
    checked = call("check", profile)
    assert "covers this run" in " ".join((checked.out.decode() + checked.err).split()), checked
    profile.write_text(body + f"threshold = {report['covers']['threshold'] - 0.001:.3f}\n" + basis + cited)
    checked = call("check", profile)
    assert "OUTSIDE" in checked.out.decode() + checked.err


@pytest.mark.slow
def test_recognition_is_no_worse_than_it_was(shared: Callable[[str], Path], tmp_path: Path) -> None:
    """Floors for the bundled models on the whole protocol: 444 listed, 1,840 not.

    They are descriptive figures of this very data set (the threshold is read from the people whom it describes), to
    notice a change for the worse by, and no promise of anything else.
    """
    result = call("evaluate", shared("faces/lfw-protocol.csv"), "--no-cache", "--out", tmp_path, "--json")
    assert result.code == 0, result.err
    whole, first = json.loads(result.out)["descriptive"][:2]
    assert (whole["looks"], whole["mated"], whole["nonmated"]) == (None, 444, 1840)
    assert first["looks"] == 1
    tpir = {
        name: next(point["tpir"]["value"] for point in one["points"] if point["target"] == 0.01)
        for name, one in (("all images", whole), ("first image", first))
    }
    assert tpir["all images"] >= 0.9707 - 1e-4
    assert tpir["first image"] >= 0.9347 - 1e-4
    assert min(whole["rank_one"]["value"], first["rank_one"]["value"]) >= 0.99


@pytest.mark.slow
def test_clips_with_a_ground_truth_are_evaluated_like_photographs(
    shared: Callable[[str], Path], tmp_path: Path
) -> None:
    stage, crowd = shared("media/white-house-stage-360p.mp4"), shared("media/london-crowd-1080p.mp4")
    photograph = shared("media/watchlist/lin-manuel-miranda.png")
    protocol = tmp_path / "truth.csv"
    protocol.write_text(
        "path,identity,role,start_s,end_s\n"
        f"{photograph},singer,watchlist,,\n{stage},singer,mated,2.7,7.1\n{crowd},passer-by,nonmated,0,4\n",
        encoding="utf-8",
    )
    result = call("evaluate", protocol, "--out", tmp_path / "out", "--no-cache", "--json")
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert (report["people"]["mated"], report["people"]["nonmated"]) == (1, 1)
    assert report["descriptive"][0]["rank_one"]["value"] == 1.0
    assert report["funnel"]["unaccounted"] > 5
    assert report["recommendation"]["threshold"] is None
    with (tmp_path / "out" / "scores.csv").open(encoding="utf-8", newline="") as file:
        scores = {row["identity"]: float(row["all_faces"]) for row in csv.DictReader(file)}
    assert scores["singer"] > 0.7
    assert scores["passer-by"] < 0.5
