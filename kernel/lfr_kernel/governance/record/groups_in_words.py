"""False alerts by group: what people recorded, and what so few events can and cannot show about a difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfr_kernel.governance.record import codes
from lfr_kernel.governance.record.page import Column, Drawn, Figure, Paragraph, Table
from lfr_kernel.governance.record.phrases import NOTHING, at_least, count, interval, per_cent, plural, rate, tally, word

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lfr_kernel.governance.alerts.handling import Titles
    from lfr_kernel.governance.record.figures import Attribute, Figures, FootfallTest, GroupFigure
    from lfr_kernel.governance.record.page import Block, Cell
    from lfr_kernel.governance.record.statements import Counted

__all__ = ["groups"]

ATTRIBUTES: tuple[tuple[Attribute, str], ...] = (("ethnicity", "ethnicity"), ("sex", "sex"), ("age", "age band"))
SMALLEST_P = 0.001


def groups(counted: Counted, figures: Figures, titles: Titles) -> Iterator[Block]:
    """Give the groups of each attribute, the exact tests, and what a test of this size could have seen."""
    yield Paragraph(
        text="Sex, age band and ethnicity are what a person recorded of somebody who was falsely alerted on. Software "
        "infers them of nobody, and nobody counts how many of each group passed. So no rate by group can be given; "
        "what can be given is for which shares of a group among those who passed the count would be a surprise."
    )
    if not counted.false:
        yield Paragraph(text="There was no false alert, so there is nothing to compare.")
        return
    names: dict[Attribute, tuple[Mapping[str, str], ...]] = {
        "ethnicity": (titles.ethnic_groups,),
        "sex": (codes.SEXES,),
        "age": (codes.AGES,),
    }
    has_tests = False
    for attribute, called in ATTRIBUTES:
        found = [one for one in figures.groups if one.attribute == attribute]
        n = figures.recorded.get(attribute, 0)
        missing = counted.false - n
        if not found or not n:
            yield Paragraph(text=f"The {called} was recorded of none of the {plural(counted.false, 'false alert')}.")
            continue
        yield _shares(found, called, names[attribute])
        if missing > 0:
            yield Paragraph(text=f"Of {plural(missing, 'false alert')} the {called} was not recorded.")
        if any(one.tests for one in found):
            has_tests = True
            yield _tests(found, called, names[attribute], figures.group_ratio)
    if has_tests:
        yield Paragraph(
            text="Unsurprising from: if the group was that share of those who passed, or more, so many false alerts "
            "on it are no surprise (p is 0.05 or more up to its own share of the false alerts). It is rounded up."
        )
        yield from _reading(figures.group_ratio)
    if counted.false_known_by:
        yield tally(
            "How the ethnicity is known",
            ("Known by", "False alerts"),
            counted.false_known_by,
            lambda code: word(code, codes.KNOWN),
            counted.false,
        )


def _shares(found: Sequence[GroupFigure], called: str, names: tuple[Mapping[str, str], ...]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    drawn: list[Drawn | None] = []
    for one in found:
        events = count(one.share.events, one.share.n)
        rows.append((word(one.group, *names), events, rate(one.share), interval(one.share), _unsurprising(one)))
        low, value, high = one.share.low, one.share.value, one.share.high
        is_known = low is not None and value is not None and high is not None
        drawn.append(Drawn(value=value, low=low, high=high) if is_known else None)  # type: ignore[arg-type]
    return Table(
        caption=f"False alerts by recorded {called} ({found[0].share.n} recorded)",
        columns=(
            Column(heading=called.capitalize()),
            Column(heading="False alerts", is_number=True),
            Column(heading="Share", is_number=True),
            Column(heading="95 % interval", is_number=True),
            Column(heading="Unsurprising from", is_number=True),
        ),
        rows=tuple(rows),
        drawn=tuple(drawn),
    )


def _unsurprising(one: GroupFigure) -> Figure:
    value = one.unsurprising_from
    if value is None:
        return Figure(text=NOTHING, value=None)
    return Figure(text="any share" if value == 0 else at_least(value), value=value)


def _tests(found: Sequence[GroupFigure], called: str, names: tuple[Mapping[str, str], ...], ratio: float) -> Table:
    """Return a row for each share of those who passed: what the test of each group comes to, and what it could see."""
    tested = [one for one in found if one.tests]
    columns = [Column(heading="Share of those who passed", is_number=True)]
    cells: list[list[Cell]] = [[Figure(text=f"{test.share * 100:.0f} %", value=test.share) for test in found[0].tests]]
    for one in tested:
        columns.append(Column(heading=f"p: {word(one.group, *names)}", is_number=True))
        cells.append([_p(test) for test in one.tests])
    seen: list[tuple[tuple[float, float | None], ...]] = []
    for one in tested:
        # It depends on how many were recorded, and not on the group.
        could = tuple((test.power, test.smallest_ratio) for test in one.tests)
        if could in seen:
            continue
        of = f" ({word(one.group, *names)})" if seen else ""
        seen.append(could)
        columns.append(Column(heading=f"Power: chance to notice {ratio:g} times the rate{of}", is_number=True))
        cells.append([Figure(text=per_cent(test.power), value=test.power) for test in one.tests])
        columns.append(Column(heading=f"Smallest ratio noticed four times of five{of}", is_number=True))
        cells.append([_smallest(test) for test in one.tests])
    return Table(
        caption=f"Exact tests by {called}: if the group had been this share of those who passed",
        columns=tuple(columns),
        rows=tuple(zip(*cells, strict=True)),
    )


def _p(test: FootfallTest) -> Figure:
    text = f"<{SMALLEST_P:g}" if test.p < SMALLEST_P else f"{test.p:.2f}" if test.p >= 0.1 else f"{test.p:.3f}"  # noqa: PLR2004
    return Figure(text=text, value=test.p)


def _smallest(test: FootfallTest) -> Figure:
    text = "none" if test.smallest_ratio is None else f"{test.smallest_ratio:,.3g}"
    return Figure(text=text, value=test.smallest_ratio)


def _reading(ratio: float) -> Iterator[Block]:
    yield Paragraph(
        text="How to read the tests. p is the probability of a count at least as unlikely as this one if false alerts "
        "fell on everybody alike and the group had been that share of those who passed (two-sided exact binomial "
        "test). Below 0.05 chance is a poor explanation; but of twenty such tests as many as one does so by chance "
        "alone."
    )
    yield Paragraph(
        text="A higher p does not show that the groups were treated alike. The power says how likely a test on so few "
        f"false alerts was to notice it if the group's rate had been {ratio:g} times that of everybody else; where it "
        "is low, \N{LEFT DOUBLE QUOTATION MARK}not significant\N{RIGHT DOUBLE QUOTATION MARK} means that nobody could "
        "have told. The smallest ratio is the one that such a test notices four times of five; none means that no "
        "difference, however large, is noticed so often."
    )
