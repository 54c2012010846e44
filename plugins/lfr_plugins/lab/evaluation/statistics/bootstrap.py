"""Two configurations on the same people: the difference of their TPIR at an FPIR, bootstrapped by person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from lfr_plugins.lab.evaluation.statistics import _checks
from lfr_plugins.lab.evaluation.statistics.rates import CONFIDENCE
from lfr_plugins.lab.evaluation.statistics.thresholds import LOWEST_SIMILARITY, allowed_people, threshold_at

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Difference", "paired_difference"]

_CHUNK = 200


class Difference(Struct, frozen=True, kw_only=True):
    """TPIR of the second configuration minus that of the first, each at its own threshold for the same FPIR."""

    target: float
    """Descriptive FPIR."""
    mated: int
    nonmated: int
    replicates: int
    first: float | None = None
    """TPIR of the first configuration; None where so few people set no threshold."""
    second: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    """Percentile interval, 95 % unless asked for another."""
    lower: float | None = None
    """One-sided lower bound: the second is better where it is above 0."""
    note: str | None = None


def paired_difference(
    first: tuple[ArrayLike, ArrayLike],
    second: tuple[ArrayLike, ArrayLike],
    target: float,
    *,
    replicates: int = 2000,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> Difference:
    """Compare two configurations that saw the same people.

    Each replicate draws mated and non-mated people with replacement, the same ones for both configurations, fits both
    thresholds anew and takes the difference (percentile bootstrap: Efron and Tibshirani, An Introduction to the
    Bootstrap, 1993, chapter 13; by person as in ISO/IEC 19795-1's resampling of subjects). The list stays as it is.

    Args:
        first: scores of the mated people [n_m] (to the right listed person) and of the non-mated ones [n_n] (to
            anybody listed).
        second: the same people in the same order.
        target: FPIR that both thresholds are fitted to, as `threshold_at` does.
        replicates: how many.
        seed: of the draws.
        confidence: a share.

    Raises:
        ValueError: scores are empty or NaN, the configurations' numbers of people differ, a share is none, or there
            are fewer than 100 replicates.
    """
    mated = [_checks.scores(one[0], "mated") for one in (first, second)]
    others = [_checks.scores(one[1], "nonmated") for one in (first, second)]
    target = _checks.share(target, "target")
    tail = (1 - _checks.share(confidence, "confidence")) / 2
    for what, pair in (("mated", mated), ("non-mated", others)):
        if pair[0].size != pair[1].size:
            raise ValueError(
                f"expected both configurations to see the same {what} people, got {pair[0].size} and {pair[1].size}"
            )
    if replicates < _FEWEST:
        raise ValueError(f"replicates: expected at least {_FEWEST}, got {replicates}")
    fitted = [threshold_at(scores, target) for scores in others]
    chosen = [one.threshold for one in fitted if one.threshold is not None]
    if len(chosen) < len(fitted):
        return Difference(
            target=target,
            mated=mated[0].size,
            nonmated=others[0].size,
            replicates=replicates,
            note=fitted[0].note,
        )
    tpir = [float((theirs >= threshold).mean()) for theirs, threshold in zip(mated, chosen, strict=True)]
    drawn = _differences(mated, others, allowed_people(others[0].size, target), replicates, seed)
    low, high, lower = (float(one) for one in np.quantile(drawn, (tail, 1 - tail, 1 - confidence)))
    return Difference(
        target=target,
        mated=mated[0].size,
        nonmated=others[0].size,
        replicates=replicates,
        first=tpir[0],
        second=tpir[1],
        difference=tpir[1] - tpir[0],
        low=low,
        high=high,
        lower=lower,
        note=fitted[0].note,
    )


_FEWEST = 100


def _differences(
    mated: list[NDArray[np.float64]], others: list[NDArray[np.float64]], allowed: int, replicates: int, seed: int
) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    orders = [np.argsort(scores)[::-1] for scores in others]
    drawn = []
    for start in range(0, replicates, _CHUNK):
        count = min(_CHUNK, replicates - start)
        theirs, passers = (_weights(rng, sizes[0].size, count) for sizes in (mated, others))
        tpir = []
        for own, scores, order in zip(mated, others, orders, strict=True):
            first_too_many = (np.cumsum(passers[:, order], axis=1) > allowed).argmax(axis=1)
            thresholds = _just_above(scores[order][first_too_many])
            tpir.append(((own[None] >= thresholds[:, None]) * theirs).sum(axis=1) / own.size)
        drawn.append(tpir[1] - tpir[0])
    return np.concatenate(drawn)


def _weights(rng: np.random.Generator, people: int, count: int) -> NDArray[np.int64]:
    """Return how often each of so many people is drawn in each of `count` replicates, int64 [count, people]."""
    drawn = rng.integers(0, people, (count, people)) + people * np.arange(count)[:, None]
    return np.bincount(drawn.ravel(), minlength=count * people).reshape(count, people)


def _just_above(scores: NDArray[np.float64]) -> NDArray[Any]:
    return np.where(scores >= LOWEST_SIMILARITY, np.nextafter(scores, np.inf), LOWEST_SIMILARITY)
