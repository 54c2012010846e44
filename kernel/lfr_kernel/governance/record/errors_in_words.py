"""How often an alert was wrong: both denominators side by side, with what chance can make of either."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfr_kernel.governance.record.codes import CAUSES
from lfr_kernel.governance.record.page import Column, Paragraph, Table
from lfr_kernel.governance.record.phrases import NOTHING, interval, one_in, per_cent, plural, rate, share, tally, word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfr_kernel.governance.record.figures import Figures, Rate
    from lfr_kernel.governance.record.page import Block, Cell
    from lfr_kernel.governance.record.statements import Counted

__all__ = ["causes", "how_often", "meanings"]

HALF = 0.5
"""Above it `1 in 1.2` helps nobody."""
RULE_OF_THREE_FROM = 30
"""Below it 3 / n is no good guess at the bound any more."""


def how_often(counted: Counted, figures: Figures) -> Iterator[Block]:
    """Give both rates, best case and worst, and say what they mean."""
    yield Paragraph(
        text="Two rates stand side by side, since neither says enough alone. Per passage: how likely the system is to "
        "propose somebody wrongly who goes by. Per alert: how likely an alert is to be wrong, for whoever is stopped "
        "on one."
    )
    best = "Best case: f" if counted.not_established > 0 else "F"
    rows = (
        _row(f"{best}alse alerts per passage", figures.false_per_face),
        _row(f"{best}alse alerts per alert", figures.false_per_alert),
        _row("Per passage, if all not established were false", figures.false_per_face_worst),
        _row("Per alert, if all not established were false", figures.false_per_alert_worst),
        # How often it is right is no risk that anybody would want a bound of.
        (*_row("True alerts per alert", figures.true_per_alert)[:-1], NOTHING),
    )
    columns = (
        Column(heading="Measure"),
        Column(heading="Counted", is_number=True),
        Column(heading="Rate", is_number=True),
        Column(heading="About", is_number=True),
        Column(heading="95 % interval", is_number=True),
        Column(heading="At most (95 %)", is_number=True),
    )
    yield Table(caption="Rates, with Clopper and Pearson's exact intervals", columns=columns, rows=rows)
    for text in meanings(counted, figures):
        yield Paragraph(text=text)
    if counted.raised:
        yield Paragraph(
            text="The 95 % interval is what chance leaves open: rates outside of it would have made a count like this "
            "one unlikely. The last column is a bound on one side: of bounds made like this, at most one in twenty is "
            "below the true rate. Both take passages to be independent of each other; where the same people pass again "
            "and again they are too narrow."
        )


def _row(label: str, one: Rate) -> tuple[Cell, ...]:
    about = one_in(one.value) if one.value and one.value <= HALF else NOTHING
    bound = NOTHING if one.upper is None else per_cent(one.upper)
    return label, share(one.events, one.n), rate(one), about, interval(one), bound


def meanings(counted: Counted, figures: Figures) -> Iterator[str]:
    """Yield in one sentence each what both rates of false alerts say, where there are any."""
    for one, what in ((figures.false_per_face, "passage"), (figures.false_per_alert, "alert")):
        if one.value is not None:
            yield _meaning(one, what, has_unknown=counted.not_established > 0)


def _meaning(one: Rate, what: str, *, has_unknown: bool) -> str:
    given = ", if all of those not established were true" if has_unknown else ""
    if not one.events and one.upper is not None:
        three = f"about 3 in {one.n:,}, or " if one.n >= RULE_OF_THREE_FROM else ""
        return (
            f"With 0 false alerts among {plural(one.n, what)}{given}, the true rate may still be up to {three}"
            f"{per_cent(one.upper)}, with 95 % confidence: none seen is not none to come."
        )
    value = one.value or 0.0
    verb = "is" if one.events == 1 else "are"
    about = f", {one_in(value)}" if value <= HALF else ""
    return (
        f"{plural(one.events, 'false alert')} among {plural(one.n, what)} {verb} {per_cent(value)}{about}{given}; "
        f"chance leaves open rates from {interval(one)}."
    )


def causes(counted: Counted) -> Iterator[Block]:
    """Give what people found to be the cause of each false alert."""
    if not counted.causes:
        return
    yield tally(
        "False alerts by cause, as found by people",
        ("Cause", "False alerts"),
        counted.causes,
        lambda code: word(code, CAUSES),
        counted.false,
    )
