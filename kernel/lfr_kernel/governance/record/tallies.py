"""What was counted, in words: the sections that a record of one deployment and a roll-up of several share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from lfr_kernel.governance.record import codes
from lfr_kernel.governance.record.errors_in_words import causes, how_often, meanings
from lfr_kernel.governance.record.groups_in_words import groups
from lfr_kernel.governance.record.page import Note, Paragraph, Rows, Section, Tile, Tiles
from lfr_kernel.governance.record.phrases import (
    count,
    estimate,
    interval,
    minutes,
    one_in,
    part,
    per_cent,
    plural,
    rate,
    seconds,
    tally,
    total,
    word,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfr_kernel.governance.alerts.handling import Titles
    from lfr_kernel.governance.record.figures import Figures, Rate
    from lfr_kernel.governance.record.page import Block, Cell, Figure
    from lfr_kernel.governance.record.statements import Counted

__all__ = ["counted_sections", "main_points"]


def counted_sections(
    counted: Counted, figures: Figures, titles: Titles, *, arrests_in_operation: int | None = None
) -> tuple[Section, ...]:
    """Return what was counted, and what follows from it.

    Args:
        counted: of one deployment, or the sum of several.
        figures: of the same.
        titles: of the packs.
        arrests_in_operation: all arrests, whatever they came from; None if nobody said.
    """
    return (
        Section(title="Who passed", blocks=tuple(_passed(counted, figures))),
        Section(title="Alerts", blocks=tuple(_alerts(counted))),
        Section(title="How often it was wrong", blocks=(*how_often(counted, figures), *causes(counted))),
        Section(title="False alerts by group", blocks=tuple(groups(counted, figures, titles))),
        Section(title="The people who decided", blocks=tuple(_decided(counted, figures))),
        Section(title="The people who were engaged", blocks=tuple(_engaged(counted, figures, titles))),
        Section(title="Outcomes", blocks=tuple(_outcomes(counted, arrests_in_operation))),
        Section(title="Under-18s and vulnerable people", blocks=tuple(_protected(counted))),
    )


def main_points(
    counted: Counted, figures: Figures, arrests_in_operation: int | None = None, *, was_opened: bool = True
) -> tuple[Block, ...]:
    """Return the few numbers and the sentences that a page begins with.

    Args:
        counted: of one deployment, or the sum of several.
        figures: of the same.
        arrests_in_operation: all arrests, whatever they came from; None if nobody said.
        was_opened: whether faces could have passed: of what was never opened nothing is said to have been seen.
    """
    alerts = f"{one_in(counted.raised / counted.seen)} passages" if 0 < counted.raised <= counted.seen else ""
    wrong = [
        f"{_best_to_worst(best, worst)} of {what}"
        for best, worst, what in (
            (figures.false_per_face, figures.false_per_face_worst, "passages"),
            (figures.false_per_alert, figures.false_per_alert_worst, "alerts"),
        )
        if best.value is not None and worst.value is not None
    ]
    arrests = "" if arrests_in_operation is None else f"of {plural(arrests_in_operation, 'arrest')} in the operation"
    tiles = Tiles(
        tiles=(
            Tile(label="Passages seen", cell=count(counted.seen), note="faces that went by a camera"),
            Tile(label="Alerts", cell=count(counted.raised), note=alerts),
            Tile(label="True alerts", cell=count(counted.true, counted.raised), note="the right person"),
            Tile(label="False alerts", cell=count(counted.false, counted.raised), note="; ".join(wrong)),
            Tile(label="Not established", cell=count(counted.not_established, counted.raised), note="true or false"),
            Tile(label="Arrests from alerts", cell=count(counted.arrests_from_alerts), note=arrests),
        )
    )
    return (tiles, *(Paragraph(text=text) for text in _sentences(counted, figures) if was_opened))


def _best_to_worst(best: Rate, worst: Rate) -> str:
    """Return a rate, or the two that it lies between while nobody has established of some alerts what they were."""
    low, high = (per_cent(one.value or 0) for one in (best, worst))
    return low if best == worst else f"{low.removesuffix(' %')} to {high}"


def _sentences(counted: Counted, figures: Figures) -> Iterator[str]:
    if not counted.seen and not counted.raised:
        yield "No face passed a camera, so there is nothing that a rate could be made of."
        return
    if not counted.raised:
        yield f"{plural(counted.seen, 'passage')} of faces were seen, and no alert was raised."
        return
    yield from meanings(counted, figures)
    worst, of_passages = figures.false_per_alert_worst, figures.false_per_face_worst
    if counted.not_established and worst.value is not None:
        also = "" if of_passages.value is None else f", or {per_cent(of_passages.value)} of all passages,"
        yield (
            f"Of {plural(counted.not_established, 'alert')} nobody established whether it was the right person. In the "
            f"best case none of them was false; in the worst case all were, and {worst.events:,} of {worst.n:,} alerts "
            f"({per_cent(worst.value)}){also} were false."
        )
    if figures.dismissed.n:
        yield (
            "An alert is a proposal: a person decides. People decided on "
            f"{plural(figures.dismissed.n, 'alert')} and dismissed {figures.dismissed.events:,} of them."
        )


def _passed(counted: Counted, figures: Figures) -> Iterator[Block]:
    yield Paragraph(
        text="A passage is one face going by one camera, from where it is first seen to where it is lost from sight. "
        "One person who passes twice, or two cameras, makes two passages: passages are not people. Of everybody who "
        "raised no alert nothing was kept."
    )
    rows: list[tuple[str, Cell]] = [("Passages seen", count(counted.seen))]
    if figures.passages_per_person is not None:
        rows.append(("Passages a person makes", estimate(figures.passages_per_person)))
    if figures.people is not None:
        rows.append(("People those passages were", estimate(figures.people, 0)))
    rows.append(("Passages that could not be searched", part(total(counted.lost), counted.seen)))
    yield Rows(rows=tuple(rows))
    if figures.passages_per_person is None:
        yield Paragraph(
            text="Nobody counted people by hand meanwhile, so nothing says how many people these passages were."
        )
    else:
        yield Paragraph(
            text="For a while people were counted by hand beside the camera, and passages by the system: that says "
            "about how many people all the passages were. The interval is that of the count by hand alone; it does "
            "not cover hours or places that were unlike the ones counted."
        )
    if counted.lost:
        yield tally(
            "Passages of which nothing could be searched, by reason",
            ("Reason", "Passages"),
            counted.lost,
            codes.lost,
            counted.seen,
        )


def _alerts(counted: Counted) -> Iterator[Block]:
    if not counted.raised:
        yield Paragraph(text="No alert was raised.")
        return
    yield Rows(
        rows=(
            ("Alerts raised", count(counted.raised)),
            ("… that were true: the right person was recognised", part(counted.true, counted.raised)),
            ("… that were false: somebody else was", part(counted.false, counted.raised)),
            ("… of which nobody established it", part(counted.not_established, counted.raised)),
            ("Came too late to act on", part(counted.not_actionable, counted.raised)),
            ("Expired before anybody had decided", part(counted.expired_open, counted.raised)),
            ("Erased before they could be counted", part(counted.unread, counted.raised)),
        )
    )
    if counted.unread:
        yield Note(
            text=f"The keys of {plural(counted.unread, 'alert')} were destroyed before what people had recorded of "
            "them could be counted. They are among those of which nobody established whether they were true.",
            is_warning=True,
        )
    yield Paragraph(
        text="Dismissed is not the same as false: whoever dismissed an alert may have done so for any reason."
    )
    if counted.states:
        yield tally(
            "How far the alerts came", ("State", "Alerts"), counted.states, lambda code: word(code, codes.STATES)
        )
    if counted.truth_known_by:
        yield tally(
            "How it is known whether it was the right person",
            ("Proof", "Alerts"),
            counted.truth_known_by,
            lambda code: word(code, codes.PROOFS),
        )
    if counted.grounds:
        yield tally(
            "True alerts by whether the grounds for the listing still stood",
            ("Grounds", "True alerts"),
            counted.grounds,
            lambda code: word(code, codes.GROUNDS),
        )
        yield Paragraph(
            text="The right person on grounds that had expired is not a false alert, and no success either: it is "
            "counted apart."
        )


def _decided(counted: Counted, figures: Figures) -> Iterator[Block]:
    decided = figures.decision_s.n
    if not decided:
        of = " that could be counted" if counted.unread else ""
        yield Paragraph(text=f"Nobody decided on an alert{of}.")
        return
    yield Rows(
        rows=(
            ("Alerts decided on", part(decided, counted.raised)),
            ("Time from the alert to the decision, median", seconds(figures.decision_s.median)),
            ("Time from the alert to the decision, nine of ten within", seconds(figures.decision_s.p90)),
            ("Time from first seeing it to the decision, median", seconds(figures.looked_s.median)),
            ("Time from first seeing it to the decision, nine of ten within", seconds(figures.looked_s.p90)),
            ("Dismissed", part(figures.dismissed.events, figures.dismissed.n)),
            ("Share dismissed, 95 % interval", _within(figures.dismissed)),
            ("Alerts that two people assessed differently", part(counted.disagreements, counted.raised)),
            ("Corrections of what was recorded", count(counted.corrections)),
        )
    )
    yield Paragraph(
        text="The time from the alert counts however long it lay before anybody looked. The time from first seeing it "
        "is that of the person whose assessment decided: it tells, as does how often people say no, whether they "
        "decide for themselves. Decisions within a second or two of first seeing it, or hardly any dismissals, are a "
        "reason to ask."
    )


def _within(one: Rate) -> Figure:
    return structs.replace(rate(one), text=f"{rate(one).text} ({interval(one)})")


def _engaged(counted: Counted, figures: Figures, titles: Titles) -> Iterator[Block]:
    spread = figures.engagement_min
    if not spread.n:
        of = " that could be counted" if counted.unread else ""
        yield Paragraph(text=f"Nobody was engaged on an alert{of}.")
        return
    yield Rows(
        rows=(
            ("Engagements", count(spread.n)),
            ("Held up for, median", minutes(spread.median)),
            ("Held up for, nine of ten no longer than", minutes(spread.p90)),
            ("Searched", part(counted.searched, spread.n)),
            ("Were told why they were engaged", part(counted.explained, spread.n)),
            ("Were told where to complain", part(counted.complaint_route, spread.n)),
        )
    )
    yield tally(
        "Powers used",
        ("Power", "Engagements"),
        counted.powers,
        lambda code: word(code, titles.powers, {"none": "No power"}),
    )
    yield tally("Force used", ("Force", "Engagements"), counted.force, lambda code: word(code, codes.FORCE))


def _outcomes(counted: Counted, in_operation: int | None) -> Iterator[Block]:
    if counted.outcomes:
        yield tally(
            "Outcomes of decisions to engage",
            ("Outcome", "Alerts"),
            counted.outcomes,
            lambda code: word(code, codes.OUTCOMES),
        )
    else:
        yield Paragraph(text="No outcome was recorded.")
    said: Cell = "Nobody said" if in_operation is None else count(in_operation)
    yield Rows(
        rows=(
            ("Arrests that came from alerts", count(counted.arrests_from_alerts)),
            ("All arrests in the operation, whatever they came from", said),
        )
    )
    if in_operation is not None and in_operation > counted.arrests_from_alerts:
        yield Paragraph(
            text=f"Of {plural(in_operation - counted.arrests_from_alerts, 'arrest')} in the operation nobody recorded "
            "that it came from an alert: none of those may be counted as a result of facial recognition."
        )
    elif in_operation is not None and in_operation < counted.arrests_from_alerts:
        yield Note(
            text="There cannot be fewer arrests in the operation than came from alerts: one of the two was recorded "
            "wrongly.",
            is_warning=True,
        )


def _protected(counted: Counted) -> Iterator[Block]:
    for whom, outcomes in (
        ("under-18s", counted.outcomes_under_18),
        ("vulnerable people", counted.outcomes_vulnerable),
    ):
        if outcomes:
            yield tally(
                f"Alerts on entries of {whom}, by outcome",
                ("Outcome", "Alerts"),
                outcomes,
                lambda code: word(code, codes.OUTCOMES),
            )
        else:
            yield Paragraph(text=f"No alert was counted on an entry of {whom}.")
