"""The roll-up: the records of several deployments, each verified, none left out, added.

Anybody can make it who has the signed files and the organisation's public key. Records are added only if nothing at all
is wrong with them: a sum over what happened to fit would be the roll-up of something else.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

from lfr_kernel.governance.alerts.handling import NAMED, Titles
from lfr_kernel.governance.record.counting import add
from lfr_kernel.governance.record.figures import Figures  # noqa: TC001  (msgspec resolves the annotations)
from lfr_kernel.governance.record.statements import Calibration, Counted, Tally  # noqa: TC001  (likewise)
from lfr_kernel.governance.record.statistics import figures_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lfr_kernel.governance.people.organisation import Organisation
    from lfr_kernel.governance.record.reading import Read
    from lfr_kernel.governance.record.statements import Record

__all__ = ["RollUp", "Serials", "Source", "roll_up"]


class Source(Struct, frozen=True, kw_only=True):
    """A record that was added."""

    file: str
    """Its path in the folder."""
    installation: str
    serial: int
    digest: str
    """SHA-256 of the bytes that are signed."""


class Serials(Struct, frozen=True, kw_only=True):
    """The deployments of one installation: all from the first to the last, none left out in between."""

    installation: str
    name: str
    first: int
    """Above 1: those before are not in here."""
    last: int


class RollUp(Struct, frozen=True, kw_only=True):
    """What several deployments come to. Each record was verified, is final, and is in it once."""

    organisation: str
    key: str
    """The public key that every record was verified with, hexadecimal."""
    deployments: int
    installations: tuple[Serials, ...]
    notes: tuple[str, ...]
    """In words: what of these installations is not in here."""
    starts: str
    """When the first one was opened, or was to start if it never was; ISO 8601, UTC."""
    ends: str
    """When the last one ended."""
    endings: Tally
    """Deployments by how they ended: completed, revoked, abandoned, failed, saw nobody."""
    packs: tuple[str, ...]
    marks: tuple[str, ...]
    """Texts that their packs have printed on every output."""
    titles: Titles
    """As the packs have them; where two call a code differently, both."""
    calibrations: tuple[Calibration, ...]
    calibrated: int
    """Deployments during which somebody counted people by hand."""
    group_ratio: float
    """The smallest that one of their packs asks about: the hardest to see."""
    counted: Counted
    figures: Figures
    sources: tuple[Source, ...]


def roll_up(organisation: Organisation, reads: Sequence[Read]) -> RollUp:
    """Return what records come to that `read_records` returned, one or more."""
    records = [one.record for one in reads]
    counted = add(one.counted for one in records)
    calibrations = tuple(one for record in records for one in record.calibrations)
    ratio = min(one.group_ratio for one in records)
    installations = tuple(_serials(records))
    return RollUp(
        organisation=organisation.name,
        key=organisation.key,
        deployments=len(records),
        installations=installations,
        notes=tuple(_notes(installations)),
        # All are written alike: as text they are in the order of time.
        starts=min(one.opened or one.grounds.starts for one in records),
        ends=max(one.ended or one.made for one in records),
        endings=dict(Counter(one.ending or "open" for one in records)),
        packs=tuple(sorted({one.pack for one in records})),
        marks=tuple(sorted({one.mark for one in records if one.mark})),
        titles=_titles([one.titles for one in records]),
        calibrations=calibrations,
        calibrated=sum(bool(one.calibrations) for one in records),
        group_ratio=ratio,
        counted=counted,
        figures=figures_of(counted, group_ratio=ratio, calibrations=calibrations),
        sources=tuple(
            Source(file=one.file, installation=one.record.installation, serial=one.record.serial, digest=one.digest)
            for one in reads
        ),
    )


def _titles(given: Sequence[Titles]) -> Titles:
    """Return the titles of several packs: a code that means one thing here and another there has both."""
    found: dict[str, dict[str, dict[str, None]]] = {name: {} for name in NAMED}
    for one in given:
        for name, codes in found.items():
            for code, title in getattr(one, name).items():
                codes.setdefault(code, {})[title] = None
    return Titles(**{name: {code: " / ".join(all_) for code, all_ in codes.items()} for name, codes in found.items()})


def _serials(records: Iterable[Record]) -> Iterator[Serials]:
    by_installation: dict[str, list[Record]] = {}
    for one in records:
        by_installation.setdefault(one.installation, []).append(one)
    for installation, found in by_installation.items():
        # Records are in the order of their serials.
        name, first, last = found[-1].installation_name, found[0].serial, found[-1].serial
        yield Serials(installation=installation, name=name, first=first, last=last)


def _notes(installations: Iterable[Serials]) -> Iterator[str]:
    for one in installations:
        if one.first > 1:
            many = "the one before is" if one.first == 2 else f"the {one.first - 1} before are"  # noqa: PLR2004
            yield f"from deployment {one.first} of {one.name} on: {many} not in here"
