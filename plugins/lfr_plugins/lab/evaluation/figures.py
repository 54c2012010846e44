"""Scores become figures: descriptive and transferred ones, list sizes, and the threshold that may be recommended."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from lfr_plugins.lab.evaluation.report import (
    Descriptive,
    Histogram,
    ListGrowth,
    Measured,
    Point,
    Recommendation,
)
from lfr_plugins.lab.evaluation.scoring import FLOOR
from lfr_plugins.lab.evaluation.statistics import (
    BelowFloorError,
    Transferred,
    alerted,
    curve,
    expected_fpir,
    extrapolated_fpir,
    fpir_over_lists,
    hits_at,
    is_recommendable,
    list_sizes,
    not_measurable,
    people_needed,
    rate,
    size_exponent,
    threshold_at,
    transferred,
    upper_bound,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfr_plugins.lab.evaluation.scoring import Scores
    from lfr_plugins.lab.evaluation.statistics import Threshold

__all__ = ["TARGETS", "describe", "growth", "histogram", "recommend", "transfer"]

TARGETS = (0.01, 0.005, 0.001, 0.00017)
"""FPIR of the descriptive points; the last is what NEC NeoFace V4 was measured at with a list of 10,000."""
_STEPS = 1000
"""Thresholds are recommended in thousandths, rounded up: k / 1000 is the very number that "0.614" is read as."""
_LEAST = 2
"""Listed people, and non-mated ones, of whom something can be said about other lists."""
_BINS = 60


def describe(scores: Scores, looks: int | None, note: str | None = None) -> Descriptive:
    """Return the figures whose thresholds are read from the same people."""
    nearest = scores.nearest
    return Descriptive(
        looks=looks,
        mated=len(scores.mated),
        nonmated=len(scores.nonmated),
        mean_looks_mated=round(float(scores.looks_mated.mean()), 3),
        mean_looks_nonmated=round(float(scores.looks_nonmated.mean()), 3),
        rank_one=rate(int(scores.ranked_first.sum()), len(scores.mated)),
        points=tuple(_point(scores, threshold_at(nearest, target)) for target in TARGETS),
        curve=curve(scores.own, nearest),
        note=note,
    )


def _point(scores: Scores, threshold: Threshold) -> Point:
    found = None
    if threshold.threshold is not None:
        found = rate(int(alerted(scores.own, threshold.threshold)), len(scores.mated))
    return Point(target=threshold.target, threshold=threshold, tpir=found)


def transfer(scores: Scores, target: float) -> Transferred:
    """Return what thresholds do on people and lists that had no part in choosing them.

    Whoever could not be listed is on no half's list, and is missed with every threshold: TPIR is counted without them,
    and then over everybody.
    """
    people, listed = scores.pairs.people, scores.pairs.listed
    nothing = Transferred(target=target, repeats=0, half_nonmated=people // 2, half_listed=listed // 2)
    if min(people, listed) < _LEAST:
        return replace(nothing, note=f"{people} non-mated and {listed} listed people cannot be halved")
    is_listed = scores.own_column >= 0
    own, columns = scores.own[is_listed], scores.own_column[is_listed]
    if not len(own):
        own, columns = np.array([-np.inf]), np.zeros(1, np.int64)
    try:
        found = transferred(own, columns, scores.pairs, target)
    except BelowFloorError:
        return replace(nothing, note=f"the target is met below {FLOOR:g}, the least threshold that a profile may set")
    if found.tpir is None or found.tpir_spread is None or is_listed.all():
        return found
    share = is_listed.mean()
    low, high = found.tpir_spread
    return replace(
        found,
        tpir=rate(found.tpir.events, len(scores.own)),
        tpir_spread=(float(low * share), float(high * share)),
    )


def recommend(
    by_looks: Mapping[int, Scores], *, target: float, listed: int | None, wanted_looks: int | None
) -> Recommendation:
    """Return the smallest threshold whose upper bounds meet the target, for up to as many looks as can be shown.

    The promise outlives the choice: the score just below such a threshold is an order statistic, and its true FPIR
    exceeds the target for at most 5 % of all samples of as many people, whatever the distribution. It is Wilks'
    tolerance limit (Determination of sample sizes for setting tolerance limits, Annals of Mathematical Statistics 12,
    1941). It holds for this list and people like these; the second bound is the one over other lists.

    Args:
        by_looks: scores of those with so many faces, after so many; at least one.
        target: FPIR.
        listed: people on the list that will be used; as many as were tested when None.
        wanted_looks: most faces that a passage will pool; None where it is not known.
    """
    tested = next(iter(by_looks.values())).pairs.listed
    size = tested if listed is None else listed
    measured = {looks: _smallest(scores, target, size) for looks, scores in by_looks.items()}
    table = tuple(
        Measured(looks=looks, nonmated=len(by_looks[looks].nonmated), threshold=threshold, note=note)
        for looks, (threshold, note) in measured.items()
    )
    # A passage of up to k faces may end after any number of them: the threshold must do for each.
    thresholds: list[float] = []
    chosen: int | None = None
    for looks in sorted(measured):
        threshold = measured[looks][0]
        if threshold is None or (wanted_looks is not None and looks > wanted_looks):
            break
        thresholds.append(threshold)
        chosen = looks
    if chosen is None:
        return Recommendation(
            target=target, listed=size, tested=tested, looks=None, wanted_looks=wanted_looks, threshold=None, fpir=None,
            fpir_over_lists=None, tpir=None, wrong_person=None, by_looks=table, note=measured[min(measured)][1],
        )  # fmt: skip
    scores, threshold = by_looks[chosen], max(thresholds)
    note = None
    if wanted_looks is None or wanted_looks > chosen:
        wanted = "as many faces as there are" if wanted_looks is None else f"up to {wanted_looks} faces"
        note = f"shown for passages of {chosen} face{'s' * (chosen > 1)}; the profile pools {wanted}"
    return Recommendation(
        target=target,
        listed=size,
        tested=tested,
        looks=chosen,
        wanted_looks=wanted_looks,
        threshold=threshold,
        fpir=rate(int(alerted(scores.nearest, threshold)), len(scores.nonmated)),
        fpir_over_lists=fpir_over_lists(scores.pairs, threshold, min(size, tested)),
        tpir=rate(int(alerted(scores.own, threshold)), len(scores.mated)),
        wrong_person=rate(int(alerted(scores.others, threshold)), len(scores.mated)),
        by_looks=table,
        note=note,
    )


def _smallest(scores: Scores, target: float, size: int) -> tuple[float | None, str | None]:
    """Return the smallest threshold (in thousandths) from which on both upper bounds meet the target, or why not."""
    n, tested = len(scores.nonmated), scores.pairs.listed
    if not is_recommendable(size, tested):
        return None, f"a list of {size} is more than 1.1 times the tested one of {tested}: test with a longer list"
    if tested < _LEAST:
        return None, f"a list of {tested} tells nothing of other lists: test with a longer list"
    needed = people_needed(extrapolated_fpir(target, max(size, tested), tested))
    if needed > n:
        return None, not_measurable(n, needed)
    highest = max(float(scores.nearest.max(initial=FLOOR)), FLOOR)
    step = math.floor(highest * _STEPS)
    while step / _STEPS <= highest:
        step += 1  # until nobody alerts
    while step > math.ceil(FLOOR * _STEPS) and _upper(scores, (step - 1) / _STEPS, size) <= target:
        step -= 1
    if step > _STEPS:
        return None, "people who are not listed have the very templates of people who are: look at their photographs"
    return step / _STEPS, None


def _upper(scores: Scores, threshold: float, size: int) -> float:
    """Return the higher of both one-sided upper 95 % bounds of FPIR, for a list of a size."""
    n, tested = len(scores.nonmated), scores.pairs.listed
    short = min(size, tested)
    hits = hits_at(scores.pairs, threshold)
    given = upper_bound(min(float(expected_fpir(hits, tested, [short])[0]), 1.0) * n, n)
    over = fpir_over_lists(scores.pairs, threshold, short).upper
    worst = max(given, over)
    return extrapolated_fpir(worst, tested, size) if size > tested else worst


def growth(scores: Scores, looks: int, threshold: float, sizes: Sequence[int]) -> ListGrowth | None:
    """Return FPIR over the length of the list at a threshold; None for lists too short to see a trend."""
    tested = scores.pairs.listed
    if tested < _LEAST_LISTED:
        return None
    hits = hits_at(scores.pairs, threshold)
    lengths = sorted({tested // 8, tested // 4, tested // 2, tested, 2 * tested, 10_000, *sizes})
    return ListGrowth(
        threshold=threshold,
        looks=looks,
        sizes=tuple(list_sizes(hits, tested, lengths)),
        exponent=size_exponent(hits, tested),
        assumption=(
            "up to the tested list: measured, as the mean over all shorter lists of the same people; beyond it: "
            "extrapolated as if false alerts of listed people added up independently, which was not measured"
        ),
    )


_LEAST_LISTED = 8


def histogram(scores: Scores, looks: int) -> Histogram:
    """Return people by score, in bins of equal width from the floor to 1; the first one also holds whoever is lower."""
    edges = np.linspace(FLOOR, 1.0, _BINS + 1)
    mated, nonmated = scores.own[np.isfinite(scores.own)], scores.nearest[np.isfinite(scores.nearest)]
    return Histogram(
        looks=looks,
        edges=tuple(round(float(edge), 6) for edge in edges),
        mated=tuple(np.histogram(np.clip(mated, FLOOR, 1.0), edges)[0].tolist()),
        nonmated=tuple(np.histogram(np.clip(nonmated, FLOOR, 1.0), edges)[0].tolist()),
        unsearched_mated=len(scores.own) - len(mated),
        unsearched_nonmated=len(scores.nearest) - len(nonmated),
    )
