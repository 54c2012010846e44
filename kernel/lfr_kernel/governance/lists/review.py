"""The review of a manifest: a verdict for each row, and which listed rows a person must look at. Pure numpy."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Literal

import numpy as np
from msgspec import Struct, field

from lfr_kernel.governance.lists.entries import Entry, Verdict
from lfr_kernel.governance.lists.manifest import entry_of
from lfr_kernel.governance.vetting import DUPLICATE_AT, outliers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from lfr_kernel.governance.lists.manifest import Exclusions, ManifestRow
    from lfr_kernel.governance.ruleset import Rules

__all__ = ["SAME_PICTURE_AT", "Vetted", "judge_row", "listing", "rejection", "vet"]

SAME_PICTURE_AT = 0.98
"""Cosine from which two photographs are taken for one picture, perhaps cut or packed another way. Of 3,025 photographs
of LFW it names one pair, which is one picture."""
_BLOCK = 512
"""Rows compared at a time, so that ten thousand need no matrix of all pairs."""


def judge_row(
    row: ManifestRow, manifest: Path, rules: Rules, exclusions: Exclusions | None, now: dt.datetime
) -> Entry | Verdict:
    """Judge what a row says, before anybody looks at its photograph: who is excluded first, then the pack's rules."""
    reason = exclusions.reason(row.cells.get("person", "")) if exclusions else None
    if reason is not None:
        return rejection(row, "excluded", f"stands on the exclusion list: {reason}")
    entry = entry_of(row, manifest, rules, now)
    if isinstance(entry, list):
        return rejection(row, "invalid", "; ".join(entry))
    oldest = now.astimezone(dt.UTC).date() - dt.timedelta(days=rules.max_photo_age_days)
    if entry.taken < oldest:
        text = f"taken: expected {oldest.isoformat()} or later ({rules.max_photo_age_days} days), got {entry.taken}"
        return rejection(row, "too_old", text)
    return entry


def rejection(row: ManifestRow, code: str, text: str) -> Verdict:
    """Return the verdict of a row that is not listed."""
    return _verdict(row, "rejected", code, text)


def listing(row: ManifestRow, question: str | None) -> Verdict:
    """Return the verdict of a row that is listed; with a question, a person must look at it."""
    if question is None:
        return _verdict(row, "accepted", "accepted", "")
    return _verdict(row, "questioned", "questioned", question)


def _verdict(row: ManifestRow, state: Literal["accepted", "questioned", "rejected"], code: str, text: str) -> Verdict:
    """Return the verdict of a row."""
    return Verdict(
        line=row.line,
        entry=row.entry,
        photo=row.cells.get("photo", ""),
        person=row.cells.get("person", ""),
        state=state,
        code=code,
        text=text,
    )


class Vetted(Struct, frozen=True, kw_only=True):
    """What comparing photographs with each other found, by row."""

    rejected: dict[int, tuple[Literal["duplicate", "self_outlier", "clash"], str]] = field(default_factory=dict)
    questioned: dict[int, str] = field(default_factory=dict)


def vet(templates: NDArray[np.float32], persons: Sequence[str], names: Sequence[str], digests: Sequence[str]) -> Vetted:
    """Compare photographs with each other.

    First the same picture twice, of which the later one goes; of what is left, those that disagree with the others of
    their person; of what is left then, those that are nearer to somebody else than to every other one of their own.
    Whoever is listed then and resembles somebody else who is, is for a person to look at.

    Args:
        templates: float32 [N, D], L2-normalised.
        persons: whose each is.
        names: what each is called.
        digests: of the content of each file.
    """
    vetted = Vetted()
    for later, earlier in _duplicates(templates, digests).items():
        vetted.rejected[later] = "duplicate", f"is the same picture as {names[earlier]}, of {persons[earlier]}"
    left = np.array([row for row in range(len(persons)) if row not in vetted.rejected], np.int64)
    for place, finding in outliers(
        templates[left], [persons[row] for row in left], [names[row] for row in left]
    ).items():
        vetted.rejected[int(left[place])] = "self_outlier", str(finding)
    numbers = {person: number for number, person in enumerate(dict.fromkeys(persons))}
    owner = np.array([numbers[person] for person in persons], np.int64)
    left = np.array([row for row in left.tolist() if row not in vetted.rejected], np.int64)
    nearest = list(_nearest(templates, owner, left))
    for row, own, other, similarity in nearest:
        if -np.inf < own < similarity:
            it = f"{names[other]}, of {persons[other]} (similarity {similarity:.2f})"
            text = f"is nearer to {it}, than to every other photograph of {persons[row]} ({own:.2f})"
            vetted.rejected[row] = "clash", text
    if left.size > len(persons) - len(vetted.rejected):
        left = np.array([row for row in left.tolist() if row not in vetted.rejected], np.int64)
        nearest = list(_nearest(templates, owner, left))
    for row, _, other, similarity in nearest:
        if similarity >= DUPLICATE_AT:
            vetted.questioned[row] = (
                f"resembles {names[other]}, of {persons[other]} (similarity {similarity:.2f}): one person under two "
                "references, or twins?"
            )
    return vetted


def _duplicates(templates: NDArray[np.float32], digests: Sequence[str]) -> dict[int, int]:
    """Return for each row that is the same picture as an earlier one that stays, which one."""
    found: dict[int, int] = {}
    first: dict[str, int] = {}
    for start in range(0, len(templates), _BLOCK):
        block = templates[start : start + _BLOCK]
        alike = block @ templates[: start + len(block)].T >= SAME_PICTURE_AT
        for row in range(start, start + len(block)):
            earlier = first.get(digests[row])
            if earlier is None:
                same = np.flatnonzero(alike[row - start, :row]).tolist()
                earlier = next((one for one in same if one not in found), None)
            if earlier is None:
                first[digests[row]] = row
            else:
                found[row] = earlier
    return found


def _nearest(
    templates: NDArray[np.float32], owner: NDArray[np.int64], rows: NDArray[np.int64]
) -> Iterator[tuple[int, float, int, float]]:
    """Yield each row, its similarity to the nearest other one of its owner (-inf: none), and the nearest of another.

    A row is left out if nobody else has any.
    """
    chosen, owners = templates[rows], owner[rows]
    for start in range(0, len(rows), _BLOCK):
        alike = chosen[start : start + _BLOCK] @ chosen.T
        count = len(alike)
        place, column = np.nonzero(owners[start : start + count, None] == owners[None])
        own = np.full(count, -np.inf, np.float32)
        is_other = column != place + start
        np.maximum.at(own, place[is_other], alike[place[is_other], column[is_other]])
        alike[place, column] = -np.inf
        nearest = alike.argmax(axis=1)
        similarity = alike[np.arange(count), nearest]
        for number in np.flatnonzero(similarity > -np.inf).tolist():
            yield (
                int(rows[start + number]),
                float(own[number]),
                int(rows[nearest[number]]),
                float(similarity[number]),
            )
    chosen.fill(0)
