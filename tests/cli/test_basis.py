"""A run says what its threshold rests on wherever it says anything, and does not start on a false citation."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from lfr_kernel.api import Coverage, Registry, conditions_of, load_profile, most_looks, recognition_settings

if TYPE_CHECKING:
    from collections.abc import Callable

SINKS = """
[[sinks]]
plugin = "jsonl"
details = true
options = { path = "${here}/alerts.jsonl" }
"""


@pytest.fixture
def cite(board: Any) -> Callable[..., str]:
    """Write a report of just what the board's profile runs, but for some changes; cite it; return its digest."""

    def write(text: str = "", **changes: Any) -> str:
        profile, _ = load_profile(board.profile, registry := Registry.discover())
        models = {stage: _digest_of(registry, stage, getattr(profile, stage)) for stage in ("detector", "embedder")}
        tested: dict[str, Any] = {
            "report_class": "benchmark",
            "data": "boards",
            "listed": 1,
            "looks": most_looks(profile),
            "target_fpir": 0.005,
            "threshold": 0.62,
            "settings": recognition_settings(profile),
            "conditions": conditions_of([(60, 90, 0), (200, 250, 1)] * 10),
        }
        covers = Coverage(**models | tested | changes)
        path = board.folder / "report.json"
        path.write_bytes(msgspec.json.encode({"covers": covers, "title": "Boards"}))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        section = f'\n[basis]\nreport = "${{here}}/report.json"\ndigest = "{digest}"\n'
        board.write(board.profile.read_text(encoding="utf-8") + text + SINKS + section)
        return digest

    return write


def _digest_of(registry: Registry, stage: str, section: Any) -> str:
    model = registry.get(stage, section.plugin).create(section.options)
    model.close()
    return str(model.digest)


def kept(board: Any) -> dict[str, Any]:
    """The one alert that the file holds."""
    (line,) = (board.folder / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    alert: dict[str, Any] = json.loads(line)["alert"]
    return alert


def table(out: str) -> list[str]:
    """The lines of a summary, without the padding of its columns."""
    return [line.rstrip() for line in out.splitlines()]


def logged(err: str) -> dict[str, Any]:
    (line,) = [line for line in err.splitlines() if '"threshold_basis"' in line]
    event: dict[str, Any] = json.loads(line)
    return event


def test_a_run_within_its_report(lfr: Callable[..., Any], board: Any, cite: Callable[..., str]) -> None:
    digest = cite()
    line = f"report {digest[:8]}… (benchmark), covers this run"
    result = lfr("-p", board.profile, "--json")
    assert result.code == 0
    assert result.json["basis"] == {
        "state": "covered",
        "report": digest,
        "report_class": "benchmark",
        "reasons": [],
        "notes": [],
    }
    assert kept(board)["basis"] == line
    assert f"\n      {line}\n      permit: " in result.err
    event = logged(result.err)
    assert (event["level"], event["state"], event["report"]) == ("info", "covered", digest)
    assert f"basis                 {line}" in table(lfr("-p", board.profile).out)


def test_a_run_outside_of_its_report_goes_on_and_says_so(
    lfr: Callable[..., Any], board: Any, cite: Callable[..., str]
) -> None:
    digest = cite(threshold=0.63, looks=15, embedder="0" * 64)
    result = lfr("-p", board.profile, "--json")
    assert result.code == 0
    basis = result.json["basis"]
    assert (basis["state"], basis["report"]) == ("outside", digest)
    model = result.json["watchlist"]["model"]
    reasons = [
        f"embedder {model[:8]}…, tested with 00000000…",
        "16 looks, tested with 15",
        "threshold 0.62, needs 0.63 for FPIR 0.005",
    ]
    assert basis["reasons"] == reasons
    line = kept(board)["basis"]
    assert line.startswith(f"report {digest[:8]}… (benchmark), OUTSIDE (3): embedder {model[:8]}…")
    assert f"\n      {line}\n" in result.err
    event = logged(result.err)
    assert (event["level"], event["state"], event["reasons"]) == ("warning", "outside", reasons)
    rows = table(lfr("-p", board.profile).out)
    first = rows.index(f"basis                 report {digest[:8]}… (benchmark), OUTSIDE")
    assert [row.strip() for row in rows[first + 1 : first + 4]] == reasons
    assert max(map(len, rows)) <= 80


def test_a_report_that_is_silent_about_light_and_distance_covers_the_run_and_that_is_said(
    lfr: Callable[..., Any], board: Any, cite: Callable[..., str]
) -> None:
    cite(conditions=None)
    unsaid = "the report does not say in which light and from how far faces were seen"
    result = lfr("-p", board.profile, "--json")
    assert (result.json["basis"]["state"], result.json["basis"]["notes"]) == ("covered", [unsaid])
    assert result.json["conditions"] == {}
    assert "covers this run" in kept(board)["basis"]
    assert logged(result.err)["notes"] == [unsaid]
    for shown in (lfr("-p", board.profile).out, lfr("check", board.profile).out):
        assert unsaid in " ".join(shown.split())


def test_people_are_counted_and_not_photographs(lfr: Callable[..., Any], board: Any, cite: Callable[..., str]) -> None:
    photo = (board.folder / "watchlist" / "board.png").read_bytes()
    cite()
    (board.folder / "watchlist" / "twin").mkdir()
    for name in ("1.png", "2.png"):
        (board.folder / "watchlist" / "twin" / name).write_bytes(photo)
    assert lfr("-p", board.profile, "--json").json["basis"]["reasons"] == ["list of 2, tested with 1"]


def test_a_run_without_a_report_says_that_there_is_no_evidence(lfr: Callable[..., Any], board: Any) -> None:
    board.write(board.profile.read_text(encoding="utf-8") + SINKS)
    result = lfr("-p", board.profile, "--json")
    assert result.code == 0
    assert result.json["basis"]["state"] == "none"
    assert kept(board)["basis"] == "NO REPORT, the threshold rests on no evidence"
    assert "\n      NO REPORT, the threshold rests on no evidence\n" in result.err
    assert (logged(result.err)["level"], logged(result.err)["report"]) == ("warning", None)
    rows = table(lfr("-p", board.profile).out)
    assert "basis                 NO REPORT, the threshold rests on no evidence" in rows


def test_a_report_that_was_changed_since_stops_the_start(
    lfr: Callable[..., Any], board: Any, cite: Callable[..., str]
) -> None:
    digest = cite(threshold=0.7)
    path = board.folder / "report.json"
    path.write_bytes(path.read_bytes().replace(b'"threshold":0.7', b'"threshold":0.6'))
    got = hashlib.sha256(path.read_bytes()).hexdigest()
    result = lfr("-p", board.profile, "--json")
    assert result.code == 2
    assert not result.out
    assert (
        f"error: evaluation report {path}: expected SHA-256 {digest}, which [basis] cites, got {got}; "
        "put the report back that was cited, or read this one and cite its digest\n"
    ) in result.err
    assert "Traceback" not in result.err
    assert not (board.folder / "alerts.jsonl").exists()
    checked = lfr("check", board.profile)
    assert checked.code == 2
    assert f"     basis  evaluation report {path}: expected SHA-256 {digest}" in checked.out
    assert "        ok" not in checked.out


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "found none there; correct the path"), (b'{"fps": 25}', "expected a report.json as `lfr-kernel evaluate`")],
)
def test_a_report_that_is_none_stops_the_start(
    content: bytes | None, problem: str, lfr: Callable[..., Any], board: Any, cite: Callable[..., str]
) -> None:
    cite()
    (board.folder / "report.json").unlink()
    if content is not None:
        (board.folder / "report.json").write_bytes(content)
    result = lfr("-p", board.profile)
    assert result.code == 2
    assert not result.out
    assert f"error: evaluation report {board.folder}/report.json: " in result.err
    assert problem in result.err


def test_a_digest_without_a_report_is_a_mistake_in_the_profile(lfr: Callable[..., Any], board: Any) -> None:
    board.write(board.profile.read_text(encoding="utf-8") + f'[basis]\ndigest = "{"0" * 64}"\ntarget = 1\n')
    result = lfr("check", board.profile)
    assert result.code == 2
    assert "basis.report: missing, expected the path of the report.json that has this digest\n" in result.err
    assert "basis.target: unknown key, expected one of: report, digest, protocol, target_fpir" in result.err


def test_check_judges_what_can_be_judged_without_models(
    lfr: Callable[..., Any], board: Any, cite: Callable[..., str]
) -> None:
    digest = cite(detector="0" * 64, looks=9, settings={})
    out = lfr("check", board.profile).out.splitlines()
    first = out.index(f"     basis  report {digest[:8]}… (benchmark), OUTSIDE")
    assert out[first + 1] == "            16 looks, tested with 9"
    assert '            detector "middle", tested with not set' in out
    assert out[-2] == "            not looked at: models"
    assert "00000000" not in "\n".join(out)
    live = lfr("check", board.profile, "--live")
    assert live.code == 0
    assert ", tested with 00000000…\n            16 looks, tested with 9\n" in live.out
    assert "not looked at" not in live.out


def test_check_says_that_a_profile_is_covered(lfr: Callable[..., Any], board: Any, cite: Callable[..., str]) -> None:
    line = f"     basis  report {cite()[:8]}… (benchmark), covers this run"
    live = lfr("check", board.profile, "--live").out.splitlines()
    assert live[-2:] == [line, "        ok  nothing wrong found"]
    out = lfr("check", board.profile).out.splitlines()
    assert out[-3:-1] == [line, "            not looked at: models"]
    (board.folder / "watchlist" / "board.png").unlink()
    assert "            not looked at: models and the watchlist" in lfr("check", board.profile).out.splitlines()
