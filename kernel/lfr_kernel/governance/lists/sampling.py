"""Dip sampling: rows drawn at random, and what a person found when checking them."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

from lfr_kernel.decoding import shown, suggest
from lfr_kernel.governance.lists.manifest import ManifestError
from lfr_kernel.governance.people.statements import written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from lfr_kernel.governance.lists.entries import Entry, Row
    from lfr_kernel.governance.lists.file import ListFile

__all__ = [
    "ANSWERS",
    "SKIPPED",
    "Checked",
    "draw",
    "drawn",
    "expect_drawn",
    "fields_of",
    "findings_sheet",
    "read_findings",
    "sheet",
]

SKIPPED = "skipped"
ANSWERS: Mapping[str, tuple[str, str]] = {
    "o": ("ok", "person, photograph, grounds and fields are right"),
    "p": ("wrong-person", "the photograph shows somebody else"),
    "g": ("grounds-lapsed", "the reason to list this person holds no more"),
    "q": ("poor-photograph", "nobody could be recognised by it"),
    "c": ("wrong-category", "the category is another one"),
    "l": ("not-lawfully-held", "the photograph may not be held, or nobody can say by what right"),
    "s": (SKIPPED, "not checked"),
}
"""What may be found of a row: the letter to press, the code that is recorded, and what it means."""
CODES = tuple(code for code, _ in ANSWERS.values())


class Checked(Struct, frozen=True, kw_only=True):
    """The rows of a sample, and what was found of each."""

    seed: str
    """Hexadecimal."""
    findings: dict[str, str]
    """Code by entry, of every row that was drawn; empty for one that nobody has looked at yet."""

    @property
    def n(self) -> int:
        """How many rows were checked."""
        return len(self.findings) - self.counts.get(SKIPPED, 0) - self.unanswered

    @property
    def unanswered(self) -> int:
        """How many rows nobody has looked at yet."""
        return self.counts.get("", 0)

    @property
    def counts(self) -> dict[str, int]:
        """How many rows by code."""
        return dict(sorted(Counter(self.findings.values()).items()))

    @property
    def wrong(self) -> dict[str, str]:
        """The rows in which something was found, by entry."""
        return {entry: code for entry, code in self.findings.items() if code not in {"ok", SKIPPED, ""}}


def draw(total: int, n: int, seed: str) -> list[int]:
    """Return `n` of the numbers below `total`, or all if there are fewer, in rising order.

    They are those whose SHA-256 of `SEED:NUMBER` is lowest: whoever knows the seed can draw them again.

    Args:
        total: rows of the list.
        n: how many to draw.
        seed: random, hexadecimal.
    """

    def rank(number: int) -> bytes:
        return hashlib.sha256(f"{seed}:{number}".encode("ascii")).digest()

    return sorted(sorted(range(total), key=rank)[:n])


def fields_of(about: Entry) -> dict[str, str]:
    """Return what whoever checks a row is shown of it."""
    return {
        "entry": about.entry,
        "person": about.person,
        "photo": about.photo,
        "category": about.category,
        "legal_basis": about.legal_basis,
        "source": about.source,
        "lawfully_held": about.lawfully_held,
        "conviction_status": about.conviction_status,
        "taken": about.taken.isoformat(),
        "added_by": about.added_by,
        "reason": about.reason,
        "expires": written(about.expires),
        "under_18": "yes" if about.under_18 else "no",
        "vulnerable": "yes" if about.vulnerable else "no",
        "higher_authority": about.higher_authority,
        "response": about.response,
    }


def sheet(rows: Iterable[Row], seed: str) -> str:
    """Return a sample as CSV, with a column `finding` to fill in."""
    file = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        cells = {"finding": "", "seed": seed, **fields_of(row.about)}
        if writer is None:
            writer = csv.DictWriter(file, list(cells))
            writer.writeheader()
        writer.writerow(cells)
    return file.getvalue()


def findings_sheet(checked: Checked) -> str:
    """Return a sample as CSV that holds of each row what was found and its id, and nothing about anybody."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["finding", "seed", "entry"])
    writer.writerows([code, checked.seed, entry] for entry, code in checked.findings.items())
    return file.getvalue()


def read_findings(path: Path) -> Checked:
    """Read a sheet that was filled in, whole or in part. Blocks on the file.

    Raises:
        ManifestError: it cannot be read, lacks a column, or a row of it has an unknown finding.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"findings {path} cannot be read: {error}") from None
    lacking = [column for column in ("entry", "finding", "seed") if not rows or column not in rows[0]]
    if lacking:
        raise ManifestError(
            f"findings {path}: expected the sheet that `watchlist sample --sheet` made, filled in; "
            f"{', '.join(lacking)} is missing"
        )
    problems = [
        f"entry {row['entry']}: expected one of {', '.join(CODES)}, got {shown(row['finding'])}"
        f"{suggest(row['finding'] or '', CODES)}"
        for row in rows
        if row["finding"] not in {*CODES, ""}
    ]
    seeds = sorted({row["seed"] or "" for row in rows})
    if len(seeds) > 1:
        problems.append(f"expected one seed, got {', '.join(seeds)}: are these rows of two sheets?")
    if len({row["entry"] for row in rows}) < len(rows):
        problems.append("expected each entry once")
    if problems:
        raise ManifestError(f"findings {path}: {'; '.join(problems)}")
    return Checked(seed=seeds[0], findings={row["entry"]: row["finding"] for row in rows})


def drawn(source: ListFile, key: bytes, n: int, seed: str) -> list[Row]:
    """Open the rows of a sample. Raises as `ListFile.row` does."""
    return [source.row(key, number) for number in draw(len(source), n, seed)]


def expect_drawn(checked: Checked, rows: Sequence[Row]) -> None:
    """See that what was checked is what the seed draws.

    Raises:
        ManifestError: it is not.
    """
    if set(checked.findings) != {row.about.entry for row in rows}:
        raise ManifestError(
            f"the findings are not those of the {len(rows)} rows that seed {checked.seed} draws from this list: "
            "fill in every row of the sheet, and no other (`skipped` for those that were not checked)"
        )
