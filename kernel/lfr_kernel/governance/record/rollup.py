"""The roll-up: the records of several deployments, each verified, none left out, added.

Anybody can make it who has the signed files and the organisation's public key. Records are added only if nothing at all
is wrong with them: a sum over what happened to fit would be the roll-up of something else.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, structs

from lfr_kernel.governance.document import DocumentError
from lfr_kernel.governance.errors import SignatureError
from lfr_kernel.governance.keys.signing import verify
from lfr_kernel.governance.record.figures import Figures  # noqa: TC001  (msgspec resolves the annotations)
from lfr_kernel.governance.record.statements import RECORD, Calibration, Counted, Record, SignedRecord, Tally
from lfr_kernel.governance.record.statistics import figures_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from lfr_kernel.governance.people.organisation import Organisation

__all__ = ["Read", "RollUp", "RollUpError", "Serials", "Source", "add", "read_record", "roll_up"]

LARGEST = 16 << 20
"""Bytes of a signed record: none comes near."""


class RollUpError(DocumentError):
    """Records cannot be rolled up; the text lists everything that is wrong with any of them."""


class Read(Struct, frozen=True, kw_only=True):
    """A record that was verified."""

    file: str
    digest: str
    """SHA-256 of the bytes that are signed."""
    record: Record


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
    starts: str
    """When the first one was opened, or was to start if it never was; ISO 8601, UTC."""
    ends: str
    """When the last one ended."""
    endings: Tally
    """Deployments by how they ended: completed, revoked, abandoned, failed, empty."""
    packs: tuple[str, ...]
    marks: tuple[str, ...]
    """Texts that their packs have printed on every output."""
    titles: dict[str, str]
    """Codes in words, as the packs have them."""
    calibrations: tuple[Calibration, ...]
    calibrated: int
    """Deployments during which somebody counted people by hand."""
    group_ratio: float
    """The smallest that one of their packs asks about: the hardest to see."""
    counted: Counted
    figures: Figures
    sources: tuple[Source, ...]


def add(counteds: Iterable[Counted]) -> Counted:
    """Return the sum: numbers and tallies added, ordered values merged. In whatever order, it comes to the same."""
    given = [Counted(), *counteds]
    return Counted(**{name: _sum([getattr(one, name) for one in given]) for name in _NAMES})


_NAMES = [field.name for field in structs.fields(Counted)]


def _sum(values: Sequence[Any]) -> Any:
    """Add values of one field: all are numbers, tallies, or tuples in ascending order."""
    if isinstance(values[0], int):
        return sum(values)
    if isinstance(values[0], tuple):
        return tuple(heapq.merge(*values))
    total: Counter[str] = Counter()
    for value in values:
        total.update(value)
    return dict(total)


def roll_up(folder: Path, organisation: Organisation) -> RollUp:
    """Return what all records in a folder come to. Blocks on reading them.

    Args:
        folder: every `*.json` in it and in its folders is one signed record.
        organisation: whose installations made them.

    Raises:
        RollUpError: something is wrong with one of them, or one is missing, or there is none; the text lists all.
    """
    problems: list[str] = []
    found = list(_read(folder, organisation, problems.append))
    by_installation: dict[str, list[Read]] = {}
    for one in found:
        by_installation.setdefault(one.record.installation, []).append(one)
    for reads in by_installation.values():
        reads.sort(key=lambda one: one.record.serial)
        problems += _gaps(reads)
        problems += _breaks(reads)
    if not found and not problems:
        problems = ["expected signed records (*.json), as lfr-kernel record --format json makes them, found none"]
    if problems:
        raise RollUpError(str(folder), [_line(one) for one in problems], heading=_heading(len(problems)))
    return _rolled(organisation, [one for reads in by_installation.values() for one in reads])


def read_record(path: Path, organisation: Organisation) -> tuple[Record, str]:
    """Return what a signed record states, verified by the organisation's key, and the SHA-256 of what was signed.

    Raises:
        SignatureError: it cannot be read, is something else, was changed since it was signed, or is by an installation
            that the organisation did not certify.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise SignatureError(f"expected a signed record, got a file of more than {LARGEST} bytes")
        signed = msgspec.json.decode(data, type=SignedRecord)
    except OSError as error:
        raise SignatureError(f"expected a signed record, got: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SignatureError(f"expected a signed record (JSON), got something else: {error}") from None
    certificate = organisation.certificate(signed.certificate)
    record = verify(signed.record, RECORD, Record, [bytes.fromhex(certificate.signing)])
    if record.installation != certificate.installation:
        raise SignatureError(
            f"installation {certificate.installation} ({certificate.name}) signed a record of {record.installation}: "
            "an installation signs its own only"
        )
    return record, hashlib.sha256(signed.record.body).hexdigest()


def _read(folder: Path, organisation: Organisation, note: Callable[[str], None]) -> Iterator[Read]:
    """Read what can be verified, and note what is wrong with each file."""
    for path in sorted(folder.rglob("*")):
        # A hidden file is one that is still being written, or a system's own.
        if path.suffix.lower() != ".json" or path.name.startswith(".") or path.is_dir():
            continue
        file = path.relative_to(folder).as_posix()
        try:
            record, digest = read_record(path, organisation)
        except SignatureError as error:
            note(f"{file}: {error}")
            continue
        for problem in _wrong(record):
            note(f"{file}: {problem}")
        yield Read(file=file, digest=digest, record=record)


def _wrong(record: Record) -> Iterator[str]:
    counted = record.counted
    if not record.is_final:
        yield (
            f"deployment {record.serial} was not over, or its alerts could still change, when this record was made "
            f"({record.made}): make it again once they cannot"
        )
    numbers = [number for name in _NAMES for number in _numbers(getattr(counted, name))]
    if min(numbers) < 0:
        yield f"expected counts of 0 or more, got {min(numbers)}"
    if counted.not_established < 0:
        yield (
            f"expected as many alerts as were established to be true or false, or more: got {counted.raised} alerts, "
            f"{counted.true} of them true and {counted.false} false"
        )


def _numbers(value: int | Tally | tuple[float, ...]) -> Iterable[float]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, tuple) else (value,)


def _gaps(reads: Sequence[Read]) -> Iterator[str]:
    """Say which deployments between the first and the last are missing, and which are there more than once."""
    for one, other in pairwise(reads):
        name, before, after = one.record.installation_name, one.record.serial, other.record.serial
        if after == before:
            yield f"{other.file}: deployment {after} of {name} is in {one.file}, too: expected one record of each"
        elif after == before + 2:
            yield f"the record of deployment {before + 1} of {name} is missing: deployments are numbered without gaps"
        elif after > before + 1:
            yield (
                f"the records of deployments {before + 1} to {after - 1} of {name} are missing: deployments are "
                "numbered without gaps"
            )


def _breaks(reads: Sequence[Read]) -> Iterator[str]:
    """Say where records cannot come from one audit: its entries only go on, and each is what it is."""
    entries: dict[int, tuple[str, str]] = {}
    for one in reads:
        name, record = one.record.installation_name, one.record
        for entry in (record.after, record.head):
            digest, file = entries.setdefault(entry.number, (entry.digest, one.file))
            if digest != entry.digest:
                yield (
                    f"{one.file}: entry {entry.number} of the audit of {name} is {entry.digest[:12]}… here, and "
                    f"{digest[:12]}… in {file}: there were two audits"
                )
        if record.head.number < record.after.number:
            yield (
                f"{one.file}: counted up to entry {record.head.number} of the audit, which comes before the deployment "
                f"(after entry {record.after.number})"
            )
    for one, other in pairwise(reads):
        before, record = one.record, other.record
        # A record counts at least up to the entry that closed its deployment, and the next one follows that entry.
        if record.serial == before.serial + 1 and not before.after.number < record.after.number <= before.head.number:
            yield (
                f"{other.file}: deployment {record.serial} follows entry {record.after.number} of the audit of "
                f"{record.installation_name}, and that of {one.file} was counted from entry {before.after.number} to "
                f"{before.head.number}: expected one in between, that closed it"
            )


def _rolled(organisation: Organisation, reads: Sequence[Read]) -> RollUp:
    records = [one.record for one in reads]
    counted = add(one.counted for one in records)
    calibrations = tuple(one for record in records for one in record.calibrations)
    ratio = min(one.group_ratio for one in records)
    return RollUp(
        organisation=organisation.name,
        key=organisation.key,
        deployments=len(records),
        installations=tuple(_serials(records)),
        # All are written alike: as text they are in the order of time.
        starts=min(one.opened or one.grounds.starts for one in records),
        ends=max(one.ended or one.made for one in records),
        endings=dict(Counter(one.ending or "open" for one in records)),
        packs=tuple(sorted({one.pack for one in records})),
        marks=tuple(sorted({one.mark for one in records if one.mark})),
        titles={code: title for one in records for code, title in one.titles.items()},
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


def _serials(records: Iterable[Record]) -> Iterator[Serials]:
    by_installation: dict[str, list[Record]] = {}
    for one in records:
        by_installation.setdefault(one.installation, []).append(one)
    for installation, found in by_installation.items():
        # Records are in the order of their serials.
        name, first, last = found[-1].installation_name, found[0].serial, found[-1].serial
        yield Serials(installation=installation, name=name, first=first, last=last)


def _heading(count: int) -> str:
    many = "1 thing is" if count == 1 else f"{count} things are"
    return f"nothing was rolled up: {many} wrong with these records"


def _line(text: str) -> str:
    """Return a problem on one line, without what could steer a terminal: file names are other people's."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
