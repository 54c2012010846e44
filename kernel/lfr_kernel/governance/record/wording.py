"""A record in words: the one place in which it is put, whatever the format that shows it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from lfr_kernel.governance.record import codes
from lfr_kernel.governance.record.page import Column, Document, Note, Paragraph, Rows, Section, Table
from lfr_kernel.governance.record.phrases import NOTHING, count, day, moment, part, plural, tally, times, word
from lfr_kernel.governance.record.tallies import counted_sections, main_points
from lfr_kernel.governance.record.technique import evidence, suspensions, thresholds
from lfr_kernel.governance.standing import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfr_kernel.governance.alerts.handling import Titles
    from lfr_kernel.governance.record.figures import Figures
    from lfr_kernel.governance.record.page import Block, Cell
    from lfr_kernel.governance.record.statements import Counted, Record, Span

__all__ = ["counted_sections", "document_of", "rolled_up"]


def document_of(record: Record, figures: Figures) -> Document:
    """Return a record in words.

    Args:
        record: as it was signed, or is about to be.
        figures: that follow from what it counted.
    """
    when = f", {day(record.opened or record.grounds.starts)}"
    sections = (
        Section(title="In short", blocks=tuple(_in_short(record, figures))),
        Section(title="Who authorised it, and on what grounds", blocks=tuple(_grounds(record))),
        Section(title="When it ran", blocks=tuple(_times(record))),
        Section(title="Who was looked for", blocks=tuple(_list(record))),
        Section(title="Model, threshold and evidence", blocks=(*thresholds(record), *evidence(record))),
        *counted_sections(record.counted, figures, record.titles, arrests_in_operation=record.arrests_in_operation),
        *_calibrated(record),
        *suspensions(record),
        Section(title="How to check this record", blocks=tuple(_checking(record))),
    )
    return Document(
        title=f"Live facial recognition at {record.grounds.place}",
        subtitle=f"Record of deployment {record.serial} of {record.installation_name}, {record.organisation}{when}",
        mark=record.mark,
        sections=sections,
        warning="" if record.is_final else _draft(record),
        running=f"{record.organisation}, {record.installation_name}, deployment {record.serial}",
        made=record.made,
    )


def _draft(record: Record) -> str:
    """Say why a record is none yet."""
    if record.stage != Stage.CLOSED.value:
        why = "The deployment is not closed yet."
    elif not record.counted.raised:
        why = "The deployment is closed, but nobody has made its record final."
    else:
        why = (
            "The deployment is closed, but its record is not final: what was recorded of an alert may be corrected "
            "until that alert has expired."
        )
    return f"DRAFT: not the final record. {why} Every number here may be another one tomorrow."


def rolled_up(
    title: str,
    subtitle: str,
    counted: Counted,
    figures: Figures,
    *,
    titles: Titles,
    rows: Sequence[Record],
    mark: str = "",
    notes: Sequence[str] = (),
    made: str = "",
) -> Document:
    """Return several records as one document: each as a row, then what was counted in all of them together.

    Args:
        title: of the document.
        subtitle: of it, as whose deployments of which time these are.
        counted: the sum.
        figures: that follow from the sum.
        titles: of the packs.
        rows: the records, in the order of their installations and serials.
        mark: to be printed on every page.
        notes: what is missing, as serials of which there is no record; said before anything else.
        made: ISO 8601, UTC.
    """
    said = [one.arrests_in_operation for one in rows]
    arrests = None if None in said or not said else sum(one or 0 for one in said)
    lead: tuple[Block, ...] = (
        *(Note(text=note, is_warning=True) for note in notes),
        *main_points(counted, figures, arrests, was_opened=any(one.opened for one in rows)),
        Paragraph(
            text=f"{plural(len(rows), 'deployment')} added up. Abandoned, failed and empty ones are among them: each "
            f"has its number and its record. People were counted by hand during "
            f"{sum(bool(one.calibrations) for one in rows)} of them."
        ),
        tally(
            "The deployments by how they ended",
            ("Ending", "Deployments"),
            Counter(one.ending or "open" for one in rows),
            lambda code: word(code, codes.ENDINGS),
        ),
    )
    return Document(
        title=title,
        subtitle=subtitle,
        mark=mark,
        sections=(
            Section(title="In short", blocks=lead),
            *counted_sections(counted, figures, titles, arrests_in_operation=arrests),
            Section(title="The deployments", blocks=(_deployments(rows),)),
            Section(title="How to check these figures", blocks=(Paragraph(text=_ADDED),)),
        ),
        running=title,
        made=made,
    )


_ADDED = (
    "Each row is a file that its installation signed. Whoever has the files and the organisation's public key can "
    "verify them (lfr-kernel record rollup), see that no number between the first and the last is missing, add up what "
    "they counted, and make every rate and test here again."
)


def _deployments(rows: Sequence[Record]) -> Table:
    columns = (
        Column(heading="Deployment"),
        Column(heading="Place and day"),
        Column(heading="Ending"),
        Column(heading="Listed", is_number=True),
        Column(heading="Passages", is_number=True),
        Column(heading="Alerts", is_number=True),
        Column(heading="True", is_number=True),
        Column(heading="False", is_number=True),
        Column(heading="Arrests", is_number=True),
    )
    return Table(
        caption="Every deployment, in the order of its number",
        columns=columns,
        rows=tuple(
            (
                f"{one.installation_name} {one.serial}",
                f"{one.grounds.place}, {day(one.opened or one.grounds.starts)}",
                # What it means stands in the table of the endings.
                _ending(one).partition(":")[0],
                count(one.watchlist.entries),
                count(one.counted.seen),
                count(one.counted.raised),
                count(one.counted.true),
                count(one.counted.false),
                count(one.counted.arrests_from_alerts),
            )
            for one in rows
        ),
    )


def _ending(record: Record) -> str:
    if record.ending is None:
        return word(record.stage, codes.STAGES)
    return word(record.ending, codes.ENDINGS)


def _in_short(record: Record, figures: Figures) -> Iterator[Block]:
    if record.opened is None:
        yield Note(text="This deployment was never opened: no camera was looked at, and nobody was searched for.")
    yield from main_points(record.counted, figures, record.arrests_in_operation, was_opened=record.opened is not None)
    if record.suspensions:
        yield Note(
            text=f"Alerts were suspended {times(len(record.suspensions))} by the rule that stops a system "
            "with too many false ones.",
            is_warning=True,
        )
    if record.grounds.missing:
        yield Note(text=f"Missing: the authority {'; it '.join(record.grounds.missing)}.", is_warning=True)


def _grounds(record: Record) -> Iterator[Block]:
    one = record.grounds
    rows: list[tuple[str, Cell]] = [
        ("Organisation", record.organisation),
        ("Authority", one.id),
        ("Purpose", one.purpose),
        ("Legal basis", one.legal_basis_title or one.legal_basis),
        ("Place", one.place),
        ("Why there", one.place_grounds),
        ("Who might be listed", one.criteria),
        ("Categories", "; ".join(word(code, record.titles.categories) for code in one.categories)),
        ("Cameras", ", ".join(one.cameras)),
        ("Public assembly", "yes" if one.is_assembly else "no"),
        ("Authorising officer", one.authorising_officer),
        ("Higher authority", one.higher_authority or "none was needed or named"),
        ("Signed by", f"{one.signed_by}, {moment(one.signed_at)}"),
        ("Rule pack", f"{record.pack}, SHA-256 {record.pack_digest}"),
        ("Contact for the public", one.contact),
    ]
    rows += [("Missing", f"The authority {text}") for text in one.missing]
    yield Rows(rows=tuple(rows))
    if not one.missing:
        yield Paragraph(text="The authority refers to every assessment that is asked for.")


def _times(record: Record) -> Iterator[Block]:
    one = record.grounds
    extended = plural(one.extensions, "extension") if one.extensions else "no extension"
    why = f"; {word(record.why, codes.WHYS)}" if record.why else ""
    yield Rows(
        rows=(
            ("Authorised from", moment(one.starts)),
            ("Authorised until", f"{moment(one.ends)}, with {extended}"),
            ("Opened", moment(record.opened) if record.opened else "never"),
            ("Ended", moment(record.ended) if record.ended else "not yet"),
            ("How it ended", f"{_ending(record)}{why}"),
        )
    )
    if not record.captured:
        yield Paragraph(text="No camera was looked at.")
        return
    yield Table(
        caption="When cameras were looked at",
        columns=(Column(heading="From"), Column(heading="To"), Column(heading="How it ended")),
        rows=tuple(
            (moment(span.starts), _until(record, span), word(span.why, codes.WHYS) if span.why else NOTHING)
            for span in record.captured
        ),
    )


def _until(record: Record, span: Span) -> str:
    if span.ends is not None:
        return moment(span.ends)
    is_running = record.stage == Stage.OPEN.value and span is record.captured[-1] and not span.why
    return "still running" if is_running else "not known"


def _list(record: Record) -> Iterator[Block]:
    listed = record.watchlist
    yield Rows(
        rows=(
            ("People on the watchlist", _people(listed.people)),
            ("Photographs", count(listed.entries)),
            ("Recalled or expired before the end", part(listed.withdrawn, listed.entries)),
            ("Photographs of under-18s", _people(listed.under_18, listed.entries)),
            ("Photographs of vulnerable people", _people(listed.vulnerable, listed.entries)),
        )
    )
    for caption, heading, counts, names in (
        ("The watchlist by category", "Category", listed.categories, record.titles.categories),
        ("The watchlist by source of the photograph", "Source", listed.sources, record.titles.sources),
        ("The watchlist by conviction status", "Conviction status", listed.conviction_status, codes.CONVICTION),
    ):
        if counts:
            yield tally(caption, (heading, "Photographs"), counts, lambda code, names=names: word(code, names))  # type: ignore[misc]
    if not listed.samples:
        yield Note(text="No dip sample of the list was taken.", is_warning=True)
    for number, sample in enumerate(listed.samples, start=1):
        yield tally(
            f"Dip sample {number}: {sample.n:,} photographs drawn at random and checked",
            ("Found", "Photographs"),
            sample.findings,
            lambda code: word(code, codes.FINDINGS),
            sample.n,
        )


def _people(number: int | None, of: int | None = None) -> Cell:
    if number is None:
        return "not counted: the list was never opened"
    return count(number) if of is None else part(number, of)


def _calibrated(record: Record) -> Iterator[Section]:
    if not record.calibrations:
        return
    rows = tuple((one.how, one.by, count(one.people), count(one.passages)) for one in record.calibrations)
    columns = (
        Column(heading="Where and how long"),
        Column(heading="By"),
        Column(heading="People", is_number=True),
        Column(heading="Passages", is_number=True),
    )
    table = Table(
        caption="People counted by hand, and passages counted by the system meanwhile", columns=columns, rows=rows
    )
    yield Section(title="Counts by hand", blocks=(table,))


def _checking(record: Record) -> Iterator[Block]:
    yield Paragraph(
        text="This page is a reading of a record that the installation signed; by itself it proves nothing. Ask for "
        "the signed file. Whoever has it and the organisation's public key can verify the signature (lfr-kernel record "
        "verify FILE --root organisation.pub), make every rate and test here again, and hold the counts against the "
        "audit, whose last counted entry is named below. Numbers of deployments have no gaps: each record names the "
        "entry that closed the one before."
    )
    yield Rows(
        rows=(
            ("Deployment", str(record.serial)),
            ("Installation", f"{record.installation_name}, {record.installation}"),
            ("Follows audit entry", f"{record.after.number}, SHA-256 {record.after.digest}"),
            ("Counted up to audit entry", f"{record.head.number}, SHA-256 {record.head.digest}"),
            ("Made", moment(record.made)),
            ("State", "final" if record.is_final else "draft"),
            ("Format", record.format),
        )
    )
