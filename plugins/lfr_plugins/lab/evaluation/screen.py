"""What somebody at a terminal sees of a report: the figures that matter, what they are not, and where the rest is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from lfr_kernel.api import printable
from lfr_plugins.lab.evaluation.wording import faces, points, rate_text, similarity, target_text

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from lfr_plugins.lab.evaluation.report import Report

__all__ = ["show"]


def show(report: Report, digest: str, folder: Path, console: Console) -> None:
    """Print a report in short."""
    data, people, advice = report.data, report.people, report.recommendation
    console.print(
        Text.assemble(
            (f"\n{printable(data.name)}", "bold"),
            f" ({data.report_class}): {people.listed} people listed, {people.mated} mated, "
            f"{people.nonmated} non-mated\n",
        )
    )
    console.print(_descriptive(report))
    console.print(_transferred(report))
    for line in _comparison(report):
        console.print(line)
    if advice.threshold is None:
        console.print(Text.assemble(("no threshold to recommend: ", "bold yellow"), advice.note or ""), soft_wrap=True)
    else:
        console.print(
            Text.assemble(
                ("recommended threshold ", "bold"),
                (similarity(advice.threshold), "bold green"),
                f" for FPIR {target_text(advice.target)}, a list of {advice.listed}, {faces(advice.looks)}: "
                f"TPIR {rate_text(advice.tpir)}",
            ),
            soft_wrap=True,
        )
        if advice.note:
            console.print(Text(f"  {advice.note}", "yellow"), soft_wrap=True)
    for text, count in (
        ("people could not be listed", len(people.refused)),
        ("pairs of photographs may show one person under two names", len(report.to_look_at)),
        ("pairs of files are the same under two names", len(report.same_files)),
    ):
        if count:
            console.print(Text(f"{count} {text}: see the report", "yellow"))
    if not data.flatters:
        console.print(Text("nothing was said of what this data flatters: see --about", "yellow"))
    where = f"\nreport.json, report.md, report.html, scores.csv and plots in {printable(str(folder))}/"
    console.print(Text(where), soft_wrap=True)
    console.print(f"SHA-256 of report.json: {digest}", soft_wrap=True)


def _descriptive(report: Report) -> Table:
    title = "descriptive TPIR, at thresholds read from the same people, for an FPIR of"
    table = Table(title=title, title_justify="left", box=None)
    points = report.descriptive[0].points
    shown = [place for place in range(len(points)) if any(one.points[place].tpir for one in report.descriptive)]
    for name in ("", "mated", "not", "rank 1", *(target_text(points[place].target) for place in shown)):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for one in report.descriptive:
        found = [one.points[place].tpir for place in shown]
        cells = ["-" if rate is None or rate.value is None else f"{rate.value:.4f}" for rate in found]
        rank = "-" if one.rank_one.value is None else f"{one.rank_one.value:.3f}"
        table.add_row(faces(one.looks), str(one.mated), str(one.nonmated), rank, *cells)
    return table


def _transferred(report: Report) -> Table:
    table = Table(
        title=f"transferred: fitted for FPIR {target_text(report.recommendation.target)} on half of the people and the "
        "list, tried on the rest",
        title_justify="left",
        box=None,
    )
    for name in ("", "TPIR achieved", "FPIR achieved"):
        table.add_column(name)
    for name, one in zip(("all faces", "first face only"), report.transferred, strict=False):
        if one.note is None:
            table.add_row(name, rate_text(one.tpir), rate_text(one.fpir))
        else:
            table.add_row(name, one.note, "")
    return table


def _comparison(report: Report) -> list[Text]:
    if report.comparison is None:
        return []
    lines = [Text("against the other evaluation, paired by person, in points of TPIR", "italic")]
    for name, found in (("all faces", report.comparison.all_faces), ("first face", report.comparison.first_face)):
        for one in found:
            if one.difference is None or one.low is None or one.high is None or one.lower is None:
                continue
            style = "green" if one.lower > 0 else ""
            lines.append(
                Text(
                    f"  {name}, FPIR {target_text(one.target)}: {points(one.difference)} "
                    f"({points(one.low)} to {points(one.high)}), lower 95 % bound {points(one.lower)}",
                    style,
                )
            )
    return lines
