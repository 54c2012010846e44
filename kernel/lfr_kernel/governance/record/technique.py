"""What was in force, in words: thresholds, the model, the evidence for both, and when alerts were suspended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfr_kernel.governance.record.page import Column, Note, Paragraph, Rows, Section, Table
from lfr_kernel.governance.record.phrases import count, duration, moment, similarity, times, word

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfr_kernel.governance.record.page import Block, Cell
    from lfr_kernel.governance.record.statements import Evidence, Record, ThresholdSpan

__all__ = ["evidence", "suspensions", "thresholds"]

CLASSES = {
    "benchmark": "a benchmark: photographs of a data set",
    "operational": "operational: people who passed cameras as they are used",
}


def thresholds(record: Record) -> Iterator[Block]:
    """Give the model, and each threshold with its time and whoever set it."""
    yield Rows(rows=(("Model for faces", f"SHA-256 {record.model}" if record.model else "none was loaded"),))
    yield Paragraph(
        text="The system alerts when the similarity of two faces reaches the threshold. It is a cosine on the scale of "
        "this one model: it is not a percentage, and a number of another system says nothing about it."
    )
    if not record.thresholds:
        yield Paragraph(text="No threshold was ever in force.")
        return
    columns = (
        Column(heading="Threshold", is_number=True),
        Column(heading="Time in force", is_number=True),
        Column(heading="Since"),
        Column(heading="Set by"),
        Column(heading="Reason"),
    )
    yield Table(
        caption="Thresholds, and how long each was in force while cameras were looked at",
        columns=columns,
        rows=tuple(
            (
                similarity(one.threshold),
                duration(one.seconds),
                moment(one.since),
                " and ".join(one.by) or "the profile that was authorised",
                word(one.reason) if one.reason else "as authorised",
            )
            for one in record.thresholds
        ),
    )
    yield from _summed(record.thresholds)


def _summed(spans: Sequence[ThresholdSpan]) -> Iterator[Block]:
    """Give the time that each threshold was in force in all, where one was more than once."""
    seconds: dict[float, float] = {}
    for one in spans:
        seconds[one.threshold] = seconds.get(one.threshold, 0.0) + one.seconds
    if len(seconds) < len(spans):
        yield Table(
            caption="Each threshold, and how long it was in force in all",
            columns=(Column(heading="Threshold", is_number=True), Column(heading="Total time", is_number=True)),
            rows=tuple((similarity(threshold), duration(total)) for threshold, total in sorted(seconds.items())),
        )


def evidence(record: Record) -> Iterator[Block]:
    """Say what the threshold rested on, or that it rested on nothing."""
    if not record.evidence and record.opened is None:
        yield Paragraph(text="The deployment was never opened, so nobody looked for evidence of accuracy.")
    elif not record.evidence:
        yield Note(
            text="Nothing says what the threshold rested on: each run ended before that was written down.",
            is_warning=True,
        )
    for one in record.evidence:
        yield from _evidence(one)


def _evidence(one: Evidence) -> Iterator[Block]:
    if one.state == "none":
        yield Note(
            text="No evidence of accuracy or of equal treatment is on file for this model at this threshold: no test "
            "says how often it is wrong, or about whom.",
            is_warning=True,
        )
    else:
        kind = CLASSES.get(one.report_class or "", one.report_class or "not said")
        rows: list[tuple[str, Cell]] = [
            ("Evaluation report", f"SHA-256 {one.report}" if one.report else "not named"),
            ("What was tested", kind),
        ]
        yield Rows(rows=tuple(rows))
        if one.state == "covered":
            yield Paragraph(text="What ran was within what that report tested.")
        else:
            yield Note(text="What ran was outside of what that report tested.", is_warning=True)
    if one.reasons:
        yield Rows(rows=tuple(("Departure", text) for text in one.reasons))


def suspensions(record: Record) -> Iterator[Section]:
    """Give each time that the stop rule let no more alerts out; nothing if there was none."""
    if not record.suspensions:
        return
    columns = (
        Column(heading="From"),
        Column(heading="False alerts by then", is_number=True),
        Column(heading="Passages by then", is_number=True),
    )
    table = Table(
        caption="When alerts were suspended",
        columns=columns,
        rows=tuple((moment(one.at), count(one.false), count(one.seen)) for one in record.suspensions),
    )
    text = (
        f"The stop rule let no more alerts out {times(len(record.suspensions))}: there were more false ones for the "
        "passages seen than the rule pack allows."
    )
    yield Section(title="Suspensions", blocks=(Paragraph(text=text), table))
