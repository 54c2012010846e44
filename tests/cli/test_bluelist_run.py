"""Blue-list mode on what a real run leaves: its summary as `--json` prints it, and the file of the sink `jsonl`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from lfr_kernel.api import Notice
from lfr_plugins.lab.evaluation.bluelist import BlueListError, BlueListReport, blue_list_report, read_blue_list

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SINK = """
[[sinks]]
plugin = "jsonl"
details = true
options = { path = "${here}/alerts.jsonl" }
"""


def test_a_run_is_evaluated_from_what_it_leaves(board: Any, lfr: Callable[..., Any]) -> None:
    board.write(board.profile.read_text(encoding="utf-8") + SINK)
    first = run(board, lfr, "first.json")
    second = run(board, lfr, "second.json")
    now = datetime.now(UTC)
    lines = [
        "identity,camera,start,end",
        f"board,front,{(now - timedelta(hours=1)).isoformat()},{(now + timedelta(hours=1)).isoformat()}",
        f"nobody,front,{(now - timedelta(hours=1)).isoformat()},{(now + timedelta(hours=1)).isoformat()}",
    ]
    plan = board.folder / "plan.csv"
    plan.write_text("\n".join(lines), encoding="utf-8")
    alerts = board.folder / "alerts.jsonl"
    report = blue_list_report(read_blue_list(plan, alerts, second))
    lines = [msgspec.json.decode(line, type=Notice) for line in alerts.read_bytes().splitlines()]
    raised = [one.alert for one in lines if one.alert is not None]
    assert len(raised) == 2  # one of each run, in one file
    summary = msgspec.json.decode(second.read_bytes())
    assert [(one.identity, one.is_found) for one in report.people] == [("board", True), ("nobody", False)]
    assert report.alerts == report.alerts_in_planned_passages == 1
    assert (report.cameras, report.listed, report.faces_seen) == (("front",), 1, summary["faces"])
    assert report.run == summary["run"] == raised[1].passage.partition("-")[0]
    assert report.embedder == raised[1].model == summary["watchlist"]["model"]
    assert report.detector == summary["models"]["detector"]["digest"]
    assert report.detector not in {report.embedder, ""}
    assert report.permit == raised[1].permit
    began, ended = (datetime.fromisoformat(one) for one in (report.began_at, report.ended_at))
    assert now - timedelta(minutes=5) < began <= ended <= now + timedelta(seconds=1)
    assert sum("lasted" in one or "the run from" in one for one in report.warnings) == 2  # both were planned for longer
    assert "1 alerts in the file are of other runs, and were left out" in report.warnings

    out = board.folder / "blue"
    told = lfr("evaluate", "--blue-list", plan, "--alerts", alerts, "--run", second, "--out", out, "--json")
    assert (told.code, told.out.encode()) == (0, (out / "report.json").read_bytes())
    assert msgspec.json.decode(told.out, type=BlueListReport) == report
    assert "TPIR by people: **50.0 %" in (out / "report.md").read_text(encoding="utf-8")
    assert "not measurable before adjudication" in (out / "report.html").read_text(encoding="utf-8")
    assert "blue list of run" in told.err
    half = lfr("evaluate", "--blue-list", plan)
    assert (half.code, "takes --blue-list, --alerts and --run, all three" in half.err) == (2, True)

    first_report = blue_list_report(read_blue_list(plan, alerts, first))
    assert first_report.run != report.run
    alerts.unlink()
    with pytest.raises(BlueListError, match=r"alerts\.jsonl: cannot be read"):
        read_blue_list(plan, alerts, second)
    alerts.touch()
    with pytest.raises(BlueListError, match=r"expected all alerts of run .*, 1 are not there"):
        read_blue_list(plan, alerts, second)


def run(board: Any, lfr: Callable[..., Any], name: str) -> Path:
    result = lfr("--profile", board.profile, "--json")
    assert result.code == 0, result.err
    path = board.folder / name
    path.write_text(result.out, encoding="utf-8")
    return path
