"""Conditions of camera and light: those in which an evaluation saw faces, and whether a camera sees others now.

Everything is counted in passages. A passage is one value a measure, the mean of its faces that were used: the faces of
one passage resemble each other, and many of them would pass for much evidence. Of the passages of a test the report
keeps the value that one in twenty lies below and the one that one in twenty lies above, and how many passages it was.

The argument for a warning is exact and knows no distribution. Let the r-th lowest of n tested passages be the bound. If
the next m passages are of the same kind, every order of all n + m is as likely as any other, so that k of the m lie
below the bound with probability C(k+r-1, k) C(m-k+n-r, m-k) / C(n+m, m): the exceedance test of Gumbel and von
Schelling (1950), which counts in how little a small test knows. A side of a measure leaves the tested conditions when
this many or more have a chance of one in two million, and a quarter of the last hundred passages lie beyond the bound;
it is back when no more than a tenth do. A camera is looked at after each passage, on six sides: among 3,000 passages
(an hour in a busy street) the chance of a false warning is below 6 * 3,000 / 2,000,000 = 0.9 %, whatever the looks
have to do with each other. What passages have to do with each other is not in it: a group of people in one light, or
one person who is taken for several, weighs more than it should.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, TypeAlias

from msgspec import Meta, Struct

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

__all__ = [
    "FEWEST",
    "MEASURES",
    "UNSAID",
    "WINDOW",
    "Conditions",
    "Range",
    "SeenConditions",
    "Way",
    "conditions_of",
    "needed",
    "outside",
    "sentence",
]

Way: TypeAlias = Literal["smaller", "larger", "darker", "brighter", "more blurred", "sharper"]

MEASURES = ("face_px", "highlight", "sharpness")
"""The fields of `Conditions`, in the order of every row of values here."""
WINDOW = 100
"""Passages of a camera that are looked back on."""
FEWEST = 20
"""Passages that a test must have to say anything about conditions, and a camera to be compared with it."""
UNSAID = "the report does not say in which light and from how far faces were seen"

_SIDES: tuple[tuple[Way, Way], ...] = (("smaller", "larger"), ("darker", "brighter"), ("more blurred", "sharper"))
_SPELLED = (("width", " px", 0), ("highlight", "", 0), ("sharpness", "", 2))
"""What a measure is called in a sentence, its unit, and the digits that are shown."""
_IN_TWENTY = 20
_ONE_IN = 2_000_000
_LEAVES = 4
"""One in so many beyond the bound: more is a warning, however sure a smaller share may be."""
_RETURNS = 10


class Range(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where nine in ten of the tested passages lie."""

    p5: float
    """The passage than which one in twenty is lower, rounded down to a whole passage; the lowest of fewer than 40."""
    p95: float

    def __post_init__(self) -> None:
        """Refuse what is no range."""
        if not self.p5 <= self.p95:
            raise ValueError(f"expected p5 <= p95, got {self.p5:g} and {self.p95:g}")


class Conditions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In which conditions an evaluation saw the faces of people who pass, as far as faces were used."""

    passages: Annotated[int, Meta(ge=FEWEST)]
    """How many that were."""
    face_px: Range
    """Width of the face in the picture: how far away it was."""
    highlight: Range
    """The grey value that 5 % of a face exceed, in [0, 255]: what light there was, on a face of any skin."""
    sharpness: Range
    """As `[tracker] min_sharpness` counts it, in [0, 1]."""


class SeenConditions(Struct, frozen=True, kw_only=True):
    """What the last passages of one camera were like, measure by measure."""

    passages: int
    below: tuple[int, ...]
    """Passages below p5."""
    above: tuple[int, ...]
    """Passages above p95."""
    medians: tuple[float, ...]


class _Side(NamedTuple):
    """One side of one measure."""

    way: Way
    measure: int
    where: str
    """`below` or `above` the bound."""
    bound: float
    beyond: int
    """Passages of the camera."""


def conditions_of(passages: Sequence[Sequence[float]]) -> Conditions | None:
    """Return the conditions of a test; None if it had so few passages that they say nothing.

    Args:
        passages: for each passage with faces that were used, their means in the order of `MEASURES`.
    """
    count = len(passages)
    if count < FEWEST:
        return None
    rank = _rank(count)
    sides = [sorted(map(float, values)) for values in zip(*passages, strict=True)]
    ranges = {
        name: Range(p5=values[rank - 1], p95=values[count - rank]) for name, values in zip(MEASURES, sides, strict=True)
    }
    return Conditions(passages=count, **ranges)


def _rank(tested: int) -> int:
    """Return which of the lowest of so many passages p5 is."""
    return max(1, tested // _IN_TWENTY)


@lru_cache(maxsize=4 * WINDOW)
def needed(passages: int, tested: int) -> int | None:
    """Return how many of so many passages must lie beyond one bound of a test for a warning; None: no number would do.

    Args:
        passages: m, of the camera.
        tested: n, of the test.
    """
    if passages < FEWEST:
        return None
    rank, chance = _rank(tested), 0
    total = math.comb(tested + passages, passages)
    for count in range(passages, -1, -1):
        others = passages - count
        chance += math.comb(count + rank - 1, count) * math.comb(others + tested - rank, others)
        if chance * _ONE_IN > total:
            break
    return None if count == passages else max(count + 1, math.ceil(passages / _LEAVES))


def outside(tested: Conditions, seen: SeenConditions, before: Collection[Way] = ()) -> tuple[Way, ...]:
    """Return on which sides a camera is outside of the tested conditions.

    Args:
        tested: by the report.
        seen: what the camera's last passages were like.
        before: where it was outside after the passage before: it stays so until few enough are.
    """
    enough = needed(seen.passages, tested.passages)

    def is_outside(side: _Side) -> bool:
        if side.way in before:
            return side.beyond * _RETURNS > seen.passages
        return enough is not None and side.beyond >= enough

    return tuple(side.way for side in _sides(tested, seen) if is_outside(side))


def sentence(camera: str, way: Way, tested: Conditions, seen: SeenConditions) -> str:
    """Return in words how a camera is outside of the tested conditions."""
    side = next(one for one in _sides(tested, seen) if one.way == way)
    name, unit, digits = _SPELLED[side.measure]
    return (
        f"camera {camera}: faces {way} than tested ({side.beyond} of {seen.passages} passages {side.where} {name} "
        f"{side.bound:.{digits}f}{unit}, median {seen.medians[side.measure]:.{digits}f})"
    )


def _sides(tested: Conditions, seen: SeenConditions) -> Iterator[_Side]:
    for number, (name, (lower, higher)) in enumerate(zip(MEASURES, _SIDES, strict=True)):
        within: Range = getattr(tested, name)
        yield _Side(lower, number, "below", within.p5, seen.below[number])
        yield _Side(higher, number, "above", within.p95, seen.above[number])
