"""What `lfr-kernel why` prints: a line a passage, the funnel, and what would help. 80 columns are enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from lfr_kernel.api import funnel_tables, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from lfr_plugins.lab.why_report import Explained, WhyReport

__all__ = ["why_tables"]

SHOWN = 40
_STYLES = {"alerted": "bold yellow", "lost": "red", "not_matched": "", "unsearched": ""}


def why_tables(report: WhyReport) -> RenderableType:
    """Return the tables of a report."""
    listed = f"{report.listed} people listed, threshold {report.threshold:.2f}" if report.listed else "nobody listed"
    title = f"{printable(report.clip)}: {report.width}x{report.height}, {report.seconds:.1f} s, {listed}"
    parts: list[RenderableType] = [Text(title, style="bold"), Text(f"permit: {report.permit}", style="dim"), Text()]
    if report.passages:
        parts += [_passages(report.passages[:SHOWN])]
    else:
        parts += [Text("nobody passed: no face was followed", style="yellow")]
    if len(report.passages) > SHOWN:
        parts.append(Text(f"and {len(report.passages) - SHOWN} more: see the page", style="dim"))
    parts += [Text("\nwhere they went, with the share of the step before", style="bold")]
    parts += funnel_tables({"clip": report.funnel})
    if report.what_would_help:
        parts += [Text("\nwhat would help", style="bold"), _help(report)]
    if report.notes:
        parts += [Text(), *(Text(printable(note), style="dim") for note in report.notes)]
    return Group(*parts)


def _passages(passages: Sequence[Explained]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("#", "at s", "for s", "frames", "px", "pooled", "best"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("what became of it", overflow="fold")
    for one in passages:
        who = f": may be {', '.join(one.persons)}" if one.persons else ""
        table.add_row(
            str(one.number),
            f"{one.at_s:.1f}",
            f"{one.seconds:.1f}",
            str(one.frames),
            f"{one.widest_px:.0f}",
            str(one.pooled),
            "-" if one.best_similarity is None else f"{one.best_similarity:.2f}",
            Text(printable(one.short + who), style=_STYLES[one.tone]),
        )
    return table


def _help(report: WhyReport) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim", max_width=24, overflow="fold")
    table.add_column(overflow="fold")
    for one in report.what_would_help:
        table.add_row(str(one.passages), one.short, one.helps)
    return table
