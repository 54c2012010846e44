"""Thresholds from the scores of people who are not listed, and what they cost people who are.

A person's score is the highest similarity of any of his or her passages: to anybody listed for a non-mated person, to
the right listed person for a mated one. A person never found or never searched has -inf: it stays in the denominator
and alerts at no threshold. **A person alerts when score >= threshold**, ties included, as the index has it. "The
smallest threshold" that lets k people through is therefore the next number above the (k+1)-th highest score; round it
up, never down, to print it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct
from scipy import stats

from lfr_plugins.lab.evaluation.statistics import _checks
from lfr_plugins.lab.evaluation.statistics.rates import (
    CONFIDENCE,
    Rate,
    not_measurable,
    rate,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Curve", "Threshold", "alerted", "curve", "quantile_bounds", "threshold_at"]

LOWEST_SIMILARITY = -1.0
"""Of a cosine: a threshold here lets everybody through who was searched."""


class Threshold(Struct, frozen=True, kw_only=True):
    """A threshold chosen on non-mated people, or the reason why there is none."""

    target: float
    """The FPIR asked for."""
    threshold: float | None
    fpir: Rate | None
    """Of the same people that chose it: a description, not a test."""
    low: float | None
    high: float | None
    """Distribution-free bounds of the threshold whose true FPIR is the target; None where so few people set none."""
    note: str | None = None


class Curve(Struct, frozen=True, kw_only=True):
    """FPIR and TPIR over thresholds, rising thresholds; the pairs of a DET curve (FNIR = 1 - TPIR)."""

    thresholds: list[float]
    fpir: list[float]
    tpir: list[float]
    nonmated: int
    mated: int


def alerted(scores: ArrayLike, thresholds: ArrayLike) -> NDArray[np.int64]:
    """Return how many people alert at each threshold, int64, shaped like `thresholds`; divided by n it is FPIR or TPIR.

    Args:
        scores: [n], one a person.
        thresholds: any shape.

    Raises:
        ValueError: scores are empty, not one-dimensional or NaN.
    """
    ordered = np.sort(_checks.scores(scores, "scores"))
    return np.asarray(
        ordered.size - np.searchsorted(ordered, np.asarray(thresholds, np.float64), side="left"), np.int64
    )


def curve(mated: ArrayLike, nonmated: ArrayLike, points: int = 200) -> Curve:
    """Return FPIR and TPIR wherever FPIR changes, thinned to so many points (evenly over the logarithm of FPIR).

    Args:
        mated: [n_m], similarity of each mated person to the right listed person.
        nonmated: [n_n], highest similarity of each non-mated person to anybody listed.
        points: at most so many.

    Raises:
        ValueError: scores are empty, not one-dimensional or NaN.
    """
    theirs, others = _checks.scores(mated, "mated"), _checks.scores(nonmated, "nonmated")
    ordered = np.sort(others)[::-1]
    last = max(int((ordered > -np.inf).sum()), 1)
    kept = np.unique(np.rint(np.geomspace(1, last, max(points - 1, 1))).astype(np.int64)) - 1
    kept = kept[ordered[kept] > -np.inf]
    top = max(float(ordered[0]), float(theirs.max()), LOWEST_SIMILARITY)
    thresholds = np.unique(np.append(ordered[kept], np.nextafter(top, np.inf)))
    return Curve(
        thresholds=thresholds.tolist(),
        fpir=(alerted(others, thresholds) / others.size).tolist(),
        tpir=(alerted(theirs, thresholds) / theirs.size).tolist(),
        nonmated=int(others.size),
        mated=int(theirs.size),
    )


def threshold_at(nonmated: ArrayLike, target: float) -> Threshold:
    """Return the smallest threshold at which the *observed* FPIR is at or below a target. It describes these people.

    Its true FPIR is as often above the target as below. There is none when the target allows less than one person of
    these: their scores then say nothing of it.

    Args:
        nonmated: [n], one score a person.
        target: FPIR, a share.

    Raises:
        ValueError: scores are empty, not one-dimensional or NaN; the target is no share.
    """
    scores = _checks.scores(nonmated, "nonmated")
    target = _checks.share(target, "target")
    allowed = allowed_people(scores.size, target)
    if not allowed:
        few = not_measurable(int(scores.size), math.ceil(1 / target - 1e-9))
        return Threshold(target=target, threshold=None, fpir=None, low=None, high=None, note=few)
    note = f"rests on {allowed} {'person' if allowed == 1 else 'people'}" if allowed < _FEW else None
    return _chosen(scores, target, allowed, quantile_bounds(scores, target), note)


def quantile_bounds(
    nonmated: ArrayLike, target: float, confidence: float = CONFIDENCE
) -> tuple[float | None, float | None]:
    """Return the bounds of the score that a share `target` of all people exceeds: two order statistics.

    Distribution-free, from the binomial distribution (David and Nagaraja, Order Statistics, 3rd edition, 2003, section
    7.1), as `scipy.stats.quantile_test` gives them. A bound that would lie beyond the outermost score is None.

    Raises:
        ValueError: scores are empty, not one-dimensional or NaN; target or confidence is no share.
    """
    scores = _checks.scores(nonmated, "nonmated")
    target = _checks.share(target, "target")
    _checks.share(confidence, "confidence")
    found: Any = stats.quantile_test(scores, q=0, p=1 - target).confidence_interval(confidence)
    low, high = (float(one) if np.isfinite(one) else None for one in (found.low, found.high))
    return low, high


def allowed_people(n: int, target: float) -> int:
    """Return the most people of n whose share is at or below a target."""
    return math.floor(n * target + 1e-9)


def above(scores: NDArray[np.float64], allowed: int) -> float:
    """Return the smallest threshold that lets at most so many of the people [n] through; less than n."""
    place = scores.size - 1 - allowed
    score = float(np.partition(scores, place)[place])
    return float(np.nextafter(score, np.inf)) if score >= LOWEST_SIMILARITY else LOWEST_SIMILARITY


_FEW = 5


def _chosen(
    scores: NDArray[np.float64],
    target: float,
    allowed: int,
    bounds: tuple[float | None, float | None],
    note: str | None,
) -> Threshold:
    threshold = above(scores, allowed)
    observed = rate(int((scores >= threshold).sum()), int(scores.size))
    return Threshold(target=target, threshold=threshold, fpir=observed, low=bounds[0], high=bounds[1], note=note)
