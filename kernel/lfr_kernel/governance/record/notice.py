"""What the public is told before and while a deployment runs, from the authority itself: a notice, and a large sign.

Nothing is written by hand beside it: place, times, grounds and contact are those that were, or will be, signed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from lfr_kernel.governance.alerts.handling import Titles
from lfr_kernel.governance.record.page import Document, Note, Paragraph, Rows, Section
from lfr_kernel.governance.record.phrases import clock, plural, word

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from lfr_kernel.governance.alerts.handling import Handling
    from lfr_kernel.governance.authority import Authority
    from lfr_kernel.governance.record.page import Block

__all__ = ["HEADING", "Sign", "address_in", "notice_of", "sign_of"]

HEADING = "Live facial recognition in operation"
HOUR_S, DAY_S = 3_600, 86_400
_ADDRESS = re.compile(r"https?://[^\s<>\"']+")
LONGEST_ADDRESS = 500
"""Signs: a QR code of more is too fine to be read from where people stand."""


class Sign(Struct, frozen=True, kw_only=True):
    """What a sign says, large."""

    heading: str
    organisation: str
    mark: str
    place: str
    when: str
    why: str
    points: tuple[str, ...]
    contact: str
    address: str
    """Of a page, for a QR code; empty where the contact names none."""
    authority: str
    made: str
    """ISO 8601: the date of a file; that of the start, so that the same sign makes the same bytes."""


def notice_of(
    authority: Authority,
    organisation: str,
    *,
    handling: Handling | None,
    ends: dt.datetime | None = None,
    serial: int | None = None,
) -> Document:
    """Return the public notice of a deployment.

    Args:
        authority: that was signed, or is to be.
        organisation: whose deployment it is.
        handling: what the pack says; None where none is named yet, which the notice then says, too.
        ends: with its extensions; as the authority says if not given.
        serial: number of the deployment, once there is one.
    """
    until = authority.ends if ends is None else ends
    titles = Titles() if handling is None else handling.titles
    rows = (
        ("Who", organisation),
        ("Where", authority.place),
        ("When", f"from {clock(authority.starts)} to {clock(until)}"),
        ("Why", authority.purpose),
        ("Why here", authority.place_grounds),
        ("Legal basis", word(authority.legal_basis, titles.legal_bases)),
        ("Authorised by", authority.authorising_officer),
        *((("With the higher authority of", authority.higher_authority),) if authority.higher_authority else ()),
        ("Authority", authority.id if serial is None else f"{authority.id}, deployment {serial}"),
        ("Ask", authority.contact),
    )
    sections = (
        Section(
            title="What happens here",
            blocks=(
                Paragraph(
                    text="Cameras compare the faces of people who pass with a list of people who are looked for. Where "
                    "two faces are alike enough, a person is alerted, compares the pictures, and decides."
                ),
                Rows(rows=rows),
                *((Note(text="This deployment is for a public assembly."),) if authority.is_assembly else ()),
            ),
        ),
        Section(title="Who is looked for", blocks=tuple(_looked_for(authority, titles))),
        Section(title="If there is no alert", blocks=tuple(_no_alert())),
        Section(title="If there is an alert", blocks=tuple(_alerted(handling))),
        Section(title="How long anything is kept", blocks=tuple(_kept(handling))),
        Section(title="Your rights, and where to complain", blocks=tuple(_rights(authority))),
        Section(title="What will be published", blocks=tuple(_published(authority, serial))),
    )
    return Document(
        title=HEADING,
        subtitle=f"{organisation}: {authority.place}",
        mark="" if handling is None else handling.mark,
        sections=sections,
        running=f"{organisation}, authority {authority.id}",
        made=authority.starts.isoformat(),
    )


def sign_of(authority: Authority, organisation: str, *, mark: str = "", ends: dt.datetime | None = None) -> Sign:
    """Return what a sign at the place says; see `notice_of`."""
    until = authority.ends if ends is None else ends
    return Sign(
        heading=HEADING,
        organisation=organisation,
        mark=mark,
        place=authority.place,
        when=_span(authority.starts, until),
        why=authority.purpose,
        points=(
            "Faces are compared with a list of people who are looked for.",
            "If there is no alert on you, your face is forgotten at once.",
            "A person decides, never the machine alone.",
            "To avoid it, or to cover your face, is no reason to stop you.",
        ),
        contact=authority.contact,
        address=address_in(authority.contact),
        authority=authority.id,
        made=authority.starts.isoformat(),
    )


def address_in(contact: str) -> str:
    """Return the first address of a web page in a text; empty if there is none that a QR code could hold."""
    found = _ADDRESS.search(contact)
    if found is None or not found[0].isprintable():
        return ""
    address = found[0].rstrip(".,;:!?)]}")
    try:
        has_host = bool(urlsplit(address).hostname)
    except ValueError:
        return ""
    return address if has_host and len(address) <= LONGEST_ADDRESS else ""


def _span(starts: dt.datetime, ends: dt.datetime) -> str:
    if starts.date() == ends.date() and starts.utcoffset() == ends.utcoffset():
        day, _, rest = clock(starts).partition(", ")
        return f"{day}, {rest[:5]} to {clock(ends).partition(', ')[2]}"
    return f"{clock(starts)} to {clock(ends)}"


def _looked_for(authority: Authority, titles: Titles) -> Iterator[Block]:
    yield Paragraph(text=authority.criteria)
    yield Rows(rows=tuple(("On the list may be", word(code, titles.categories)) for code in authority.categories))
    yield Paragraph(
        text="The list is made for this one deployment, checked by a second person, and destroyed when it ends."
    )


def _no_alert() -> Iterator[Block]:
    yield Paragraph(
        text="A face that is not found to be like one on the list is compared with it in the memory of one computer "
        "and is then overwritten: the picture, and the numbers that were made from it. Nobody sees either of them, "
        "neither is written to a disk or sent anywhere, and no setting changes that."
    )
    yield Paragraph(
        text="You need not pass the cameras. To go another way, to turn away or to cover your face is no reason for "
        "anybody to stop you. Nothing is inferred about you: not your sex, your age, your origin or your mood."
    )


def _alerted(handling: Handling | None) -> Iterator[Block]:
    people = "A person compares" if handling is None or handling.assessors == 1 else "Two people compare"
    yield Paragraph(
        text=f"An alert is a proposal and no more. {people} the pictures before anybody speaks to you, and nothing is "
        "done to anybody because of the machine alone. It can be wrong, and be on somebody who is not on the list: "
        "then, too, people see the two pictures, and they are kept as long as is said below. Whoever stops you tells "
        "you why, and where you can complain."
    )
    if handling is not None:
        yield Paragraph(
            text=f"On an alert that comes more than {_length(handling.act_within_s)} after you passed nobody acts."
        )


def _kept(handling: Handling | None) -> Iterator[Block]:
    if handling is None:
        yield Note(text="No rule pack is named yet, so nothing here says how long alerts are kept.", is_warning=True)
        return
    yield Rows(
        rows=(
            ("Faces on which there was no alert", "not kept: overwritten when they have passed"),
            ("An alert", f"{_length(handling.alert_s)} at most"),
            ("The two pictures of an alert", f"{_length(handling.evidence_s)} at most"),
            ("The list of people who are looked for", "until the deployment ends"),
            ("The signed record, which names nobody who passed", "for good"),
        )
    )
    yield Paragraph(text="Faces of others that are found in the picture of an alert are made unrecognisable.")


def _rights(authority: Authority) -> Iterator[Block]:
    yield Paragraph(
        text="You may ask whether anything is held about you and see it, have what is wrong put right or erased, "
        "object, and complain. Of whoever raised no alert nothing is held that could be found."
    )
    yield Rows(
        rows=(
            ("Questions and complaints", authority.contact),
            ("If that does not help", "the supervisory authority for data protection, or a court"),
        )
    )


def _published(authority: Authority, serial: int | None) -> Iterator[Block]:
    of = f"authority {authority.id}" + ("" if serial is None else f", deployment {serial}")
    yield Paragraph(
        text="Afterwards there is a signed record: how many faces passed, how many alerts there were and how many of "
        "them were right and wrong, how many people were stopped and for how long, and what came of it. A deployment "
        f"that was called off or went wrong has one, too. Ask the contact above for the record of {of}."
    )
    missing = [name for name in authority.references.__struct_fields__ if getattr(authority.references, name) is None]
    given = [
        (name.replace("_", " ").capitalize(), getattr(authority.references, name))
        for name in authority.references.__struct_fields__
        if name not in missing
    ]
    if given:
        yield Rows(rows=tuple(given))
    if missing:
        names = ", ".join(name.replace("_", " ") for name in missing)
        yield Note(text=f"The authority refers to no {names}.", is_warning=True)


def _length(seconds: float) -> str:
    """Return a time that something may last, in the unit people would use."""
    for unit, name, least in ((DAY_S, "day", 2), (HOUR_S, "hour", 1), (60, "minute", 2)):
        if seconds >= least * unit and seconds % unit == 0:
            return plural(int(seconds // unit), name)
    if seconds >= HOUR_S:
        return f"{seconds / HOUR_S:.3g} hours"
    return f"{seconds:.3g} seconds"
