"""How lists and verdicts look on a terminal, and as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from lfr_kernel.cli.printing import printable
from lfr_kernel.governance.people.statements import written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lfr_kernel.governance.lists.entries import Verdict
    from lfr_kernel.governance.lists.file import ListFile

__all__ = ["header_table", "questions_table", "verdicts_csv", "verdicts_table"]

SHOWN_AT_MOST = 50
"""Rows of verdicts on a terminal; all are in the CSV."""


def header_table(found: ListFile) -> Table:
    """Return what a list says of itself."""
    header, facts, counts = found.header, found.header.facts, found.header.counts
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")

    def row(name: str, text: str, style: str = "") -> None:
        table.add_row(name, Text(printable(text), style))

    row("list", f"{facts.name} ({header.id})", "bold")
    row("root", header.root)
    row("built", f"{written(facts.made)} by {header.builder.name}")
    for review in found.reviews:
        row("reviewed", f"{written(review.at)} by {review.reviewer.name}, questioned rows {review.questioned}")
    if not found.reviews:
        row("reviewed", "not yet", "yellow")
    for sample in found.samples:
        row("sampled", f"{written(sample.at)} by {sample.by.name}, rows {sample.n}: {_counted(sample.findings)}")
    row("rows", f"{header.rows} of {counts.people} people, questioned {counts.questioned}")
    row("categories", _counted(counts.categories))
    row("sources", _counted(counts.sources))
    row("convictions", _counted(counts.conviction_status))
    row("flags", f"under 18: {counts.under_18}, vulnerable: {counts.vulnerable}")
    if counts.earliest_expiry is not None and counts.latest_expiry is not None:
        row("expiry", f"from {written(counts.earliest_expiry)} to {written(counts.latest_expiry)}")
    row("verdicts", _counted(facts.verdicts))
    row("exclusions", "no exclusion list was applied" if facts.exclusions is None else f"list {facts.exclusions}")
    row("pack", f"{facts.pack} ({facts.pack_digest})")
    row("model", f"{facts.model}, {facts.dimension} numbers a photograph")
    if not found.has_seal:
        row("key", "not in this file: a working copy", "yellow")
    return table


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def questions_table(questions: Iterable[Sequence[str]]) -> Table:
    """Return the rows that a person must look at: entry, person, photo, and what the question is."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title="to look at", title_justify="left")
    for heading in ("entry", "person", "photo", "question"):
        table.add_column(heading, header_style="dim", overflow="fold")
    for cells in questions:
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def verdicts_table(verdicts: Sequence[Verdict], counts: Mapping[str, int]) -> Group:
    """Return the rejected and the questioned rows, and how many rows got each verdict."""
    told = [one for one in verdicts if one.state != "accepted"]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("line", "person", "photo", "verdict", "why"):
        table.add_column(heading, header_style="dim", overflow="fold")
    for one in told[:SHOWN_AT_MOST]:
        style = "red" if one.state == "rejected" else "yellow"
        person, photo, text = (Text(printable(cell)) for cell in (one.person, one.photo, one.text))
        table.add_row(str(one.line), person, photo, Text(one.code, style), text)
    more = len(told) - SHOWN_AT_MOST
    rest = [Text(f"and {more} more: --verdicts FILE.csv has them all", "dim")] if more > 0 else []
    return Group(*([table] if told else []), *rest, Text(f"rows {len(verdicts)}: {_counted(counts)}", "bold"))


def verdicts_csv(verdicts: Iterable[Verdict]) -> str:
    """Return every verdict as CSV."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(("line", "entry", "person", "photo", "verdict", "code", "why"))
    for one in verdicts:
        writer.writerow((one.line, one.entry, one.person, one.photo, one.state, one.code, one.text))
    return file.getvalue()
