"""What follows from what was counted, on a terminal: rates side by side, and what a test of groups could have seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from lfr_kernel.cli.funnel import reasons
from lfr_kernel.cli.screen import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from lfr_kernel.governance.record.figures import Attribute, Estimate, Figures, GroupFigure, Rate, Spread
    from lfr_kernel.governance.record.statements import Counted

__all__ = ["counted_tables", "per_cent"]

CALLED: dict[Attribute, str] = {"ethnicity": "ethnicity", "sex": "sex", "age": "age band"}
SHOWN_PERCENT = (10, 20, 30, 40, 50, 60)
"""Footfall shares that fit on a line; `--format json` has them all."""
LEAST_SHOWN, LARGEST_SHOWN = 0.001, 99.5
WHOLE_FROM = 0.1
"""A share from which on tenths of a per cent say nothing more."""
SIGNIFICANT = 0.05


def counted_tables(counted: Counted, figures: Figures, titles: Mapping[str, str]) -> list[RenderableType]:
    """Return tables that fit 80 columns.

    Args:
        counted: of one deployment or of several.
        figures: that follow from it.
        titles: codes of the pack in words, as ethnic groups; a code without one stands as it is.
    """
    parts: list[RenderableType] = [_counts(counted, figures), Text("\nhow often it was wrong", style="bold")]
    parts.append(_rates(counted, figures))
    if counted.not_established:
        parts.append(Text("at worst: had none of those that were not established been the right person", style="dim"))
    parts += _rules_of_three(figures)
    parts.append(Text("\nfalse alerts by group, as people recorded it", style="bold"))
    return parts + list(_groups(counted, figures, titles))


def per_cent(value: float) -> str:
    """Return a share as a percentage without its sign: two significant digits, whole per cents from 10 % on."""
    percent = value * 100
    if value >= WHOLE_FROM and not LARGEST_SHOWN <= percent < 100:  # noqa: PLR2004  (all of them)
        return f"{percent:.0f}"
    if value >= WHOLE_FROM or value == 0:
        return f"{percent:.4g}"
    decimals = 1 - int(f"{percent:.1e}".partition("e")[2])
    return f"{percent:.{max(decimals, 0)}f}"


def _counts(counted: Counted, figures: Figures) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")

    def row(name: str, text: str) -> None:
        if text:
            table.add_row(name, Text(printable(text)))

    row("faces seen", f"{counted.seen:,} passages{_people(figures)}")
    lost = sum(counted.lost.values())
    row("  not searched", f"{lost:,}: {reasons(counted.lost)}" if lost else "")
    row(
        "alerts",
        f"{counted.raised:,}: {counted.true:,} of the right person, {counted.false:,} false, "
        f"{counted.not_established:,} not established",
    )
    row("  too late", f"{counted.not_actionable:,} delivered when nobody could act any more")
    row("  never decided", f"{counted.expired_open:,} expired first" if counted.expired_open else "")
    row("  not counted", f"{counted.unread:,}: their keys were destroyed before" if counted.unread else "")
    row("dismissed", f"{_of(figures.dismissed)} that were decided on{_in_brackets(figures.dismissed)}")
    row("decisions", _spread(figures.decision_s, "s"))
    row("engagements", _spread(figures.engagement_min, "min"))
    row("outcomes", reasons(counted.outcomes))
    row("arrests", f"{counted.arrests_from_alerts:,} from alerts" if counted.arrests_from_alerts else "")
    return table


def _people(figures: Figures) -> str:
    each, people = figures.passages_per_person, figures.people
    if each is None or people is None:
        return ""
    high = "any number" if people.high is None else f"{people.high:,.0f}"
    return (
        f"; about {people.value:,.0f} people ({people.low:,.0f} to {high}), at {_estimate(each)} passages each by "
        "counting by hand"
    )


def _estimate(one: Estimate) -> str:
    high = "" if one.high is None else f"{one.high:.2f}"
    return f"{one.value:.2f} ({one.low:.2f} to {high})"


def _spread(spread: Spread, unit: str) -> str:
    if spread.median is None or spread.p90 is None:
        return ""
    return f"{spread.n:,}; half took up to {spread.median:g} {unit}, nine of ten up to {spread.p90:g} {unit}"


def _rates(counted: Counted, figures: Figures) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", no_wrap=True)
    table.add_column("of faces seen (95 %)", no_wrap=True, min_width=30)
    table.add_column("of alerts (95 %)", no_wrap=True)
    is_open = counted.not_established
    false = figures.false_per_face, figures.false_per_alert
    table.add_row("false, at best" if is_open else "false alerts", *map(_rate, false))
    if is_open:
        table.add_row("false, at worst", _rate(figures.false_per_face_worst), _rate(figures.false_per_alert_worst))
    table.add_row("right person", "", _rate(figures.true_per_alert))
    return table


def _rate(rate: Rate) -> Text:
    """Return a rate on two lines: what it was counted from, and what it comes to."""
    if rate.value is None:
        return Text(f"{_of(rate)}\n-")
    return Text.assemble((_of(rate), "dim"), "\n", (f"{per_cent(rate.value)} %", "bold"), _in_brackets(rate))


def _of(rate: Rate) -> str:
    return f"{rate.events:,} of {rate.n:,}"


def _in_brackets(rate: Rate) -> str:
    if rate.low is None or rate.high is None:
        return ""
    return f" ({per_cent(rate.low)} to {per_cent(rate.high)})"


def _rules_of_three(figures: Figures) -> Iterator[Text]:
    """Say what none means: not never."""
    for rate, of in ((figures.false_per_face, "faces"), (figures.false_per_alert, "alerts")):
        if rate.events == 0 and rate.upper is not None:
            yield Text(
                f"none among {rate.n:,} {of} does not mean never: with 95 % confidence it is {per_cent(rate.upper)} % "
                f"or less, about 3 / {rate.n:,} (rule of three)"
            )


def _groups(counted: Counted, figures: Figures, titles: Mapping[str, str]) -> Iterator[RenderableType]:
    if not counted.false:
        yield Text("no alert was established to be false: there is nothing to compare")
        return
    has_any = False
    for attribute, called in CALLED.items():
        n = figures.recorded.get(attribute, 0)
        yield Text(f"{called}: recorded of {n:,} of {counted.false:,} false alerts", style="dim" if not n else "")
        found = [one for one in figures.groups if one.attribute == attribute and one.tests]
        if found:
            has_any = True
            yield _tests(found, figures.group_ratio, titles)
            yield from _surprises(found, titles)
        yield Text()
    if has_any:
        yield Text(
            "Nobody counts who passes by group, so no rate by group can be given. p: exact binomial test, two-sided; "
            "under 0.05 so many would be a surprise if the group were that share of those who passed. A p of 0.05 or "
            "more does not show that groups are treated alike: see how likely the test was to notice.",
            style="dim",
        )


def _tests(found: Sequence[GroupFigure], ratio: float, titles: Mapping[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("p, if this share of who passed", overflow="fold", max_width=33, min_width=31)
    for percent in SHOWN_PERCENT:
        table.add_column(f"{percent} %", justify="right", no_wrap=True, min_width=6)
    for one in found:
        name = printable(titles.get(one.group, one.group))
        share = "" if one.share.value is None else f"{per_cent(one.share.value)} %{_in_brackets(one.share)}"
        cells = [
            Text(_p(test.p), style="bold yellow" if test.p < SIGNIFICANT else "")
            for test in one.tests
            if round(test.share * 100) in SHOWN_PERCENT
        ]
        table.add_row(Text.assemble((name, "bold"), f" {_of(one.share)}\n  {share}"), *cells)
    shown = [test for test in found[0].tests if round(test.share * 100) in SHOWN_PERCENT]
    table.add_row(
        Text(f"chance to notice {ratio:g} times the rate", "dim"), *(f"{per_cent(one.power)} %" for one in shown)
    )
    least = ("-" if one.smallest_ratio is None else f"{one.smallest_ratio:.3g}" for one in shown)
    table.add_row(Text("times the rate noticed at 80 %", "dim"), *least)
    return table


def _p(p: float) -> str:
    return f"<{LEAST_SHOWN:.3f}".replace("0.", ".") if p < LEAST_SHOWN else f"{p:.3f}"


def _surprises(found: Sequence[GroupFigure], titles: Mapping[str, str]) -> Iterator[Text]:
    for one in found:
        share = one.unsurprising_from
        if not share:  # 0: none of them were of this group
            continue
        name = printable(titles.get(one.group, one.group))
        yield Text(
            f"{name}: not surprisingly many if {share * 100:.1f} % or more of those who passed were of this group"
        )
