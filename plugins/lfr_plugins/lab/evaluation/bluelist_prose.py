"""What a blue list says, in words and on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from lfr_kernel.api import printable
from lfr_plugins.lab.evaluation.wording import plain, rate_text, similarity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from lfr_plugins.lab.evaluation.bluelist import BlueListReport

__all__ = ["blue_list_prose", "show_blue_list"]


def blue_list_prose(report: BlueListReport, digest: str) -> str:
    """Return the report of a blue list as Markdown.

    Args:
        report: what was found.
        digest: SHA-256 of its report.json.
    """
    return "\n".join(_lines(report, digest)).rstrip() + "\n"


def _lines(report: BlueListReport, digest: str) -> Iterator[str]:
    yield f"# Blue list of run {plain(report.run)}"
    yield ""
    yield (
        "**Class: operational.** Consenting people were seeded into the crowd, and enrolled beside the operational "
        f"list. TPIR by people: **{rate_text(report.tpir)}**, at a threshold of {similarity(report.threshold)} and a "
        f"list of {report.listed}."
    )
    yield ""
    yield "| | |"
    yield "|---|---|"
    for name, value in _facts(report):
        yield f"| {name} | {plain(value)} |"
    yield f"| report.json | SHA-256 `{digest}` |"
    yield ""
    yield ("False alerts cannot be counted before people have adjudicated the alerts: no ground truth is guessed here.")
    yield ""
    if report.warnings:
        yield "## What a reader must know"
        yield ""
        for warning in report.warnings:
            yield f"- {plain(warning)}"
        yield ""
    yield "## People"
    yield ""
    yield "| | planned passages | alerted in | found |"
    yield "|---|---|---|---|"
    for person in report.people:
        found = "yes" if person.is_found else "no"
        yield f"| {plain(person.identity)} | {person.planned} | {person.alerted} | {found} |"
    yield ""
    for group, figures in report.groups.items():
        yield f"## {plain(group)}"
        yield ""
        yield "| | TPIR |"
        yield "|---|---|"
        for name, rate in figures.tpir.items():
            yield f"| {plain(name)} | {rate_text(rate)} |"
        yield ""
    if report.alerts_unplanned:
        yield "## To be adjudicated: alerts on blue-listed people outside of their planned passages"
        yield ""
        for alert in report.alerts_unplanned:
            yield f"- {plain(alert.id)}: {plain(alert.person)} at {plain(alert.camera)}, {plain(alert.captured_at)}"


def _facts(report: BlueListReport) -> Iterator[tuple[str, str]]:
    waited = report.seconds_to_alert
    yield "run", f"{report.began_at} to {report.ended_at}, {report.ended}; cameras {', '.join(report.cameras)}"
    yield "permit", report.permit
    yield "basis of the threshold", str(report.basis)
    yield "models", f"detector {report.detector[:12]}…, embedder {report.embedder[:12]}…"
    yield "planned passages", f"{report.passages_planned}, alerted in {report.passages_alerted}"
    if waited.p50 is not None and waited.p95 is not None:
        yield "from the start of a planned passage to its alert", f"{waited.p50:.1f} s (95 %: {waited.p95:.1f} s)"
    told = (
        f"{report.alerts}: {report.alerts_in_planned_passages} in planned passages, {len(report.alerts_unplanned)} on "
        f"blue-listed people at other times, {report.alerts_on_others} on others"
    )
    yield "alerts", told
    yield "faces and passages seen", f"{report.faces_seen}, {report.passages_seen}"
    for figure in report.false_alerts:
        yield f"false alerts per {figure.per}", f"{figure.note}; of {figure.denominator}"


def show_blue_list(report: BlueListReport, digest: str, folder: Path, console: Console) -> None:
    """Print the report of a blue list in short."""
    console.print(Text(f"\nblue list of run {printable(report.run)}: TPIR {rate_text(report.tpir)}\n", "bold"))
    table = Table.grid(padding=(0, 2, 0, 0))
    for name, value in _facts(report):
        table.add_row(Text(name, "dim"), Text(printable(value)))
    console.print(table)
    for warning in report.warnings:
        console.print(Text(printable(warning), "yellow"), soft_wrap=True)
    console.print(f"\nreport.json, report.md and report.html in {folder}/", soft_wrap=True)
    console.print(f"SHA-256 of report.json: {digest}", soft_wrap=True)
