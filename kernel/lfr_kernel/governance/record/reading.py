"""Signed records in files: read, verified, and none missing between the first and the last of an installation."""

from __future__ import annotations

import hashlib
import os
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, structs

from lfr_kernel.governance.document import DocumentError
from lfr_kernel.governance.errors import SignatureError
from lfr_kernel.governance.keys.signing import verify
from lfr_kernel.governance.record.statements import RECORD, Record, SignedRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from lfr_kernel.governance.people.organisation import Organisation
    from lfr_kernel.governance.record.statements import Tally

__all__ = ["Read", "RecordsError", "read_record", "read_records"]

LARGEST = 16 << 20
"""Bytes of a signed record: none comes near."""


class RecordsError(DocumentError):
    """Records cannot be added up; the text lists everything that is wrong with any of them."""


class Read(Struct, frozen=True, kw_only=True):
    """A record that was verified."""

    file: str
    digest: str
    """SHA-256 of the bytes that are signed."""
    record: Record


def read_records(folder: Path, organisation: Organisation) -> tuple[Read, ...]:
    """Return the records in a folder, all of them, in the order of their installations and serials. Blocks on reading.

    Args:
        folder: every `*.json` in it and in its folders is one signed record.
        organisation: whose installations made them.

    Raises:
        RecordsError: something is wrong with one of them, or one is missing, or there is none; the text lists all.
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
        heading = f"{len(problems)} things are wrong with these records" if len(problems) > 1 else ""
        raise RecordsError(str(folder), [_line(one) for one in problems], heading=heading)
    ordered = sorted(by_installation.values(), key=lambda reads: (reads[0].record.installation_name, reads[0].file))
    return tuple(one for reads in ordered for one in reads)


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
    for path in _files(folder, note):
        file = path.relative_to(folder).as_posix()
        try:
            record, digest = read_record(path, organisation)
        except SignatureError as error:
            note(f"{file}: {error}")
            continue
        for problem in _wrong(record):
            note(f"{file}: {problem}")
        yield Read(file=file, digest=digest, record=record)


def _files(folder: Path, note: Callable[[str], None]) -> list[Path]:
    """Return the records in a folder and its folders. What is hidden is still being written, or a system's own."""

    def unreadable(error: OSError) -> None:
        note(f"folder {error.filename} cannot be read: {error.strerror}")

    found: list[Path] = []
    for where, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = [one for one in folders if not one.startswith(".")]
        found += [Path(where) / one for one in files if one.lower().endswith(".json") and not one.startswith(".")]
    return sorted(found)


def _wrong(record: Record) -> Iterator[str]:
    counted = record.counted
    if not record.is_final:
        yield (
            f"deployment {record.serial} was not over, or its alerts could still change, when this record was made "
            f"({record.made}): make it again once they cannot"
        )
    numbers = [number for value in structs.astuple(counted) for number in _numbers(value)]
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


def _line(text: str) -> str:
    """Return a problem on one line, without what could steer a terminal: file names are other people's."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
