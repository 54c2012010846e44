"""The manifest: one row a photograph, with whose it is and why it may be listed; and the list of who may not be."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, get_args

from msgspec import Struct

from lfr_kernel.decoding import shown, suggest
from lfr_kernel.governance.lists.entries import ConvictionStatus, Entry, new_entry_id
from lfr_kernel.governance.people.statements import written
from lfr_kernel.runtime import PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lfr_kernel.governance.ruleset import Rules

__all__ = [
    "COLUMNS",
    "Exclusions",
    "Manifest",
    "ManifestError",
    "ManifestRow",
    "entry_of",
    "read_exclusions",
    "read_manifest",
]

COLUMNS = (
    "photo",
    "person",
    "category",
    "legal_basis",
    "source",
    "lawfully_held",
    "conviction_status",
    "taken",
    "added_by",
    "reason",
    "expires",
    "under_18",
    "vulnerable",
    "higher_authority",
    "response",
)
EXCLUSION_COLUMNS = ("person", "reason")
LONGEST_REFERENCE, LONGEST_TEXT = 200, 2_000
"""Characters."""
STATUSES: tuple[ConvictionStatus, ...] = get_args(ConvictionStatus)
_HELD = re.compile(r"yes\W+(\w.*)", re.IGNORECASE | re.DOTALL)


class ManifestError(PermanentError, ValueError):
    """A manifest or an exclusion list cannot be read at all; the text says everything that is wrong with it."""


class ManifestRow(Struct, frozen=True, kw_only=True):
    """One row as it stands in the file."""

    line: int
    """Where it begins, from 1."""
    entry: str
    """See `new_entry_id`."""
    cells: dict[str, str]
    """By column, without the spaces around them."""
    surplus: int = 0
    """How many cells more, or (below 0) fewer, it has than there are columns."""


class Manifest(Struct, frozen=True, kw_only=True):
    """A manifest as it was read."""

    path: Path
    digest: str
    """SHA-256 of its bytes, hexadecimal."""
    rows: tuple[ManifestRow, ...]


class Exclusions(Struct, frozen=True, kw_only=True):
    """Who may not be listed, whatever a manifest says."""

    digest: str
    reasons: dict[str, str]
    """By reference, as `_same` has it."""

    def reason(self, person: str) -> str | None:
        """Return why somebody may not be listed, or None."""
        return self.reasons.get(_same(person))


def read_manifest(path: Path) -> Manifest:
    """Read a manifest; its rows are judged one by one, later. Blocks on the file.

    Raises:
        ManifestError: it cannot be read, has other columns than expected (all of them are named), or no row.
    """
    digest, table = _table(path, "manifest", COLUMNS)
    rows = [
        ManifestRow(
            line=line,
            entry=new_entry_id(),
            cells={column: cell.strip() for column, cell in zip(columns, cells, strict=False)},
            surplus=len(cells) - len(columns),
        )
        for line, columns, cells in table
    ]
    if not rows:
        raise ManifestError(f"manifest {path} has no row: expected one for each photograph")
    return Manifest(path=path, digest=digest, rows=tuple(rows))


def read_exclusions(path: Path) -> Exclusions:
    """Read an exclusion list. One without a row is one that excludes nobody. Blocks on the file.

    Raises:
        ManifestError: it cannot be read, has other columns than expected, or a row is incomplete: a person who was
            to be left off a list must not be on it for a mistake in writing.
    """
    digest, table = _table(path, "exclusion list", EXCLUSION_COLUMNS)
    reasons: dict[str, str] = {}
    for line, columns, cells in table:
        row = {column: cell.strip() for column, cell in zip(columns, cells, strict=False)}
        if len(cells) != len(columns) or not all(row.values()):
            raise ManifestError(
                f"exclusion list {path}, line {line}: expected a person and a reason, got {len(cells)} cells, "
                f"{sum(map(bool, row.values()))} of them filled in; a comma within a text needs quotes around it"
            )
        reasons[_same(row["person"])] = row["reason"]
    return Exclusions(digest=digest, reasons=reasons)


def _same(reference: str) -> str:
    """Return a reference as it is compared: in doubt somebody is left off."""
    return " ".join(reference.split()).casefold()


def _table(path: Path, what: str, expected: Sequence[str]) -> tuple[str, list[tuple[int, list[str], list[str]]]]:
    """Return the digest of a CSV file, and line, columns and cells of each row that is not empty."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise ManifestError(f"{what} {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"{what} {path}: expected UTF-8, got something else from byte {error.start}; save it as CSV UTF-8"
        ) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, list[str], list[str]]] = []
    columns: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            if columns is None:
                columns = [cell.strip() for cell in cells]
                _verify_columns(path, what, columns, expected)
            elif any(cell.strip() for cell in cells):
                rows.append((line, columns, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ManifestError(f"{what} {path}, line {reader.line_num}: expected CSV, got {error}") from None
    if columns is None:
        raise ManifestError(f"{what} {path} is empty: expected the columns {', '.join(expected)}")
    return hashlib.sha256(data).hexdigest(), rows


def _verify_columns(path: Path, what: str, columns: Sequence[str], expected: Sequence[str]) -> None:
    missing = [column for column in expected if column not in columns]
    problems = [f"unknown column {column!r}{suggest(column, missing)}" for column in columns if column not in expected]
    problems += [f"column {column!r} stands twice" for column in dict.fromkeys(columns) if columns.count(column) > 1]
    problems += [f"column {column!r} is missing" for column in missing]
    if problems:
        hint = "; the cells seem to be separated by semicolons, expected commas" if ";" in columns[0] else ""
        raise ManifestError(
            f"{what} {path}: {'; '.join(problems)}{hint}. Expected the columns {', '.join(expected)}, in any order"
        )


def entry_of(row: ManifestRow, manifest: Path, rules: Rules, now: dt.datetime) -> Entry | list[str]:
    """Return what a row says, or everything that is wrong with it: which field, what was expected, what came.

    How old its photograph may be, and whether it can be read, is judged elsewhere.

    Args:
        row: as it was read.
        manifest: path of its file.
        rules: of the pack.
        now: with its offset.
    """
    if row.surplus:
        count = len(COLUMNS)
        return [f"expected {count} cells, got {count + row.surplus}; a comma within a text needs quotes around it"]
    fields = _Fields(row.cells)
    source = next((one for one in rules.sources if one.code == row.cells["source"]), None)
    under_18, vulnerable = fields.flag("under_18"), fields.flag("vulnerable")
    entry = Entry(
        entry=row.entry,
        photo=fields.photo(manifest),
        person=fields.text("person", LONGEST_REFERENCE),
        category=fields.code("category", [one.code for one in rules.categories]),
        legal_basis=fields.code("legal_basis", [one.code for one in rules.legal_bases]),
        source=fields.code("source", [one.code for one in rules.sources]),
        lawfully_held=fields.held(),
        conviction_status=fields.status(is_needed=source is not None and source.needs_conviction_status),
        taken=fields.taken(now),
        added_by=fields.text("added_by"),
        reason=fields.text("reason"),
        expires=fields.expires(now, rules.max_entry_days),
        under_18=under_18,
        vulnerable=vulnerable,
        higher_authority=fields.higher(
            [rules.higher_authority.under_18] * under_18 + [rules.higher_authority.vulnerable] * vulnerable
        ),
        response=fields.text("response"),
    )
    return fields.problems or entry


class _Fields:
    """Reads cells; what is wrong with them is noted, and something of the right type returned."""

    def __init__(self, cells: dict[str, str]) -> None:
        self.problems: list[str] = []
        self._cells = cells

    def _wrong(self, column: str, expected: str, hint: str = "") -> None:
        got = shown(self._cells[column]) if self._cells[column] else "nothing"
        self.problems.append(f"{column}: expected {expected}, got {got}{hint}")

    def text(self, column: str, longest: int = LONGEST_TEXT) -> str:
        cell = self._cells[column]
        # A line may be broken in a text; any other control character could rewrite what a terminal shows.
        if not cell or len(cell) > longest or not cell.replace("\n", " ").replace("\r", " ").isprintable():
            self._wrong(column, f"text of up to {longest} printable characters")
        return cell

    def code(self, column: str, codes: Sequence[str]) -> str:
        cell = self._cells[column]
        if cell not in codes:
            self._wrong(column, f"one of {', '.join(codes)}", suggest(cell, codes))
        return cell

    def flag(self, column: str) -> bool:
        cell = self._cells[column].casefold()
        if cell not in {"yes", "no"}:
            self._wrong(column, "yes or no")
        return cell == "yes"

    def held(self) -> str:
        found = _HELD.fullmatch(self._cells["lawfully_held"])
        if found is None or len(found[1]) > LONGEST_TEXT:
            self._wrong("lawfully_held", "yes and by what right, as in `yes: retained under section 64A`")
        return found[1] if found else ""

    def status(self, *, is_needed: bool) -> ConvictionStatus:
        cell = self._cells["conviction_status"]
        allowed = STATUSES[:3] if is_needed else STATUSES
        for status in allowed:
            if cell == status:
                return status
        if cell or is_needed:
            why = " (this source needs it)" if is_needed else ""
            self._wrong("conviction_status", f"one of {', '.join(allowed)}{why}", suggest(cell, allowed))
        return "not-applicable"

    def taken(self, now: dt.datetime) -> dt.date:
        today = now.astimezone(dt.UTC).date()
        try:
            taken = dt.date.fromisoformat(self._cells["taken"])
        except ValueError:
            self._wrong("taken", "a date such as 2030-12-31")
            return today
        # Somewhere it is tomorrow already.
        if taken > today + dt.timedelta(days=1):
            self._wrong("taken", f"a date up to today, {today.isoformat()}")
        return taken

    def expires(self, now: dt.datetime, max_days: int) -> dt.datetime:
        try:
            expires = _expiry(self._cells["expires"])
        except (ValueError, OverflowError):
            self._wrong("expires", "a date, or a time with its offset such as 2030-12-31T18:00:00+00:00")
            return now
        latest = now + dt.timedelta(days=max_days)
        if not now < expires <= latest:
            self._wrong("expires", f"a time after now and up to {written(latest)}, {max_days} days from now")
        return expires

    def higher(self, offices: Iterable[str]) -> str:
        needed = " and ".join(dict.fromkeys(offices))
        if needed and not self._cells["higher_authority"]:
            self._wrong("higher_authority", f"who gave the higher authority ({needed})")
        return self.text("higher_authority") if self._cells["higher_authority"] else ""

    def photo(self, manifest: Path) -> str:
        cell = self.text("photo")
        parts = {*PurePosixPath(cell).parts, *PureWindowsPath(cell).parts}
        if PurePosixPath(cell).is_absolute() or PureWindowsPath(cell).anchor or ".." in parts:
            self._wrong("photo", f"a path within {manifest.parent}, where the manifest lies: the two belong together")
        return cell


def _expiry(cell: str) -> dt.datetime:
    """Return the end of a day, UTC, or a time as it is. Raises ValueError: it is neither."""
    parse: Callable[[str], dt.date] = dt.date.fromisoformat
    try:
        day = parse(cell) + dt.timedelta(days=1)
        return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)
    except ValueError:
        moment = dt.datetime.fromisoformat(cell)
    if moment.tzinfo is None:
        raise ValueError(cell)
    return moment.astimezone(dt.UTC)
